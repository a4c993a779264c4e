"""Tests of labeld's web."""
