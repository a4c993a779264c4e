"""Events of a running server, and their counts."""
