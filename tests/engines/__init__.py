"""Tests of labeld's engines."""
