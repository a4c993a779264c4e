"""Measures labeld against its own bars: `python -m benchmarks figures`."""
