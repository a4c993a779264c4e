"""Tests of the reliability harness."""
