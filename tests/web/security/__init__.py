"""Tests of labeld's security."""
