"""Tests of texts in files."""
