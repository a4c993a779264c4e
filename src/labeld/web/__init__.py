"""The HTTP side: protocol limits, the server process, the routes."""
