"""Tests of labeld's config."""
