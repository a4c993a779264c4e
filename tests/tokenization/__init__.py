"""Tests of labeld's tokenization."""
