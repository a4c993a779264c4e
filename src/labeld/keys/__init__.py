"""Who may ask: access tokens, where they are kept, and which of them count. A token, being text, is told from its key."""
