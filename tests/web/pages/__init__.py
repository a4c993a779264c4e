"""Tests of labeld's pages."""
