"""Tests of labeld's service."""
