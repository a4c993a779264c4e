"""Tests of the classifier of tables in Spark."""
