"""Tests of labeld's clients."""
