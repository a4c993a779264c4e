"""Which texts run next, and on what."""
