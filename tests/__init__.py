"""Tests of labeld."""
