"""The service: one request from plain data to rankings, and its construction from the settings."""
