"""Tests of labeld's project."""
