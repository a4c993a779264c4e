"""Tests of labeld's protocol."""
