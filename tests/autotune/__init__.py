"""Tests of labeld's autotune."""
