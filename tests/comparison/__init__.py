"""Tests of labeld's comparison."""
