"""Tests of labeld's cache."""
