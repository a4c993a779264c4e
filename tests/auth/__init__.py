"""Tests of labeld's auth."""
