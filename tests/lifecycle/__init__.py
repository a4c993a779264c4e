"""Tests of labeld's lifecycle."""
