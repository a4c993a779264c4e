"""The state of the server for people and programs, and the watchdog."""
