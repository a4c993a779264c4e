"""Dialects of a running server."""
