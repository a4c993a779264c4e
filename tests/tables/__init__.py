"""Tests of the classifier of tables."""
