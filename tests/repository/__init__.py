"""Tests of labeld's repository."""
