"""What the server says of itself, and the watchdog."""
