"""Tests of labeld's metrics."""
