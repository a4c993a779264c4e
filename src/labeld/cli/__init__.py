"""The command line: argv to settings to calls."""
