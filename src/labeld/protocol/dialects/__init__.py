"""The request and reply shapes of other servers' clients, each a parser and a writer over the same questions. Pure."""
