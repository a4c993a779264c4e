"""Tests of labeld's checkpoint."""
