"""Parsers and writers of dialects."""
