"""Tests of labeld's monitoring."""
