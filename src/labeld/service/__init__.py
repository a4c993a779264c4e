"""The story of one request, from plain data to rankings."""
