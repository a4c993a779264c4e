"""Processes and connections: the supervisor, the workers, HTTP/1.1 within limits, the log."""
