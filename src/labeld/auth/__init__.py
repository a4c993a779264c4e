"""Access tokens: their format, database and validation, and one-time sign-in codes."""
