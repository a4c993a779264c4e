"""Tests of labeld's server."""
