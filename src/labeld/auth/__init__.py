"""Who may ask: access tokens, where they are kept, and which count. A key is what is known of a token, a text."""
