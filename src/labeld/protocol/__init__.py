"""HTTP bodies and headers to plain data, and back. Pure: no framework, no I/O."""
