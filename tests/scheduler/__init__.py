"""Tests of labeld's scheduler."""
