"""Access control: access tokens, sessions, Host and Origin headers, forms."""
