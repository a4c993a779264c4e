"""Who may ask: access tokens, sessions, Host and Origin headers, forms."""
