"""Tests of labeld's system."""
