"""Tests of labeld's torch."""
