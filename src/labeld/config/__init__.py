"""Settings: what they are, their defaults, and where they are read from."""
