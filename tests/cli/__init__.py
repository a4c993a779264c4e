"""Tests of labeld's cli."""
