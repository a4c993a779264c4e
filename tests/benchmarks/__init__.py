"""Tests of labeld's benchmarks."""
