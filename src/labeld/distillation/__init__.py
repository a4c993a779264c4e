"""Small models that answer as larger ones do: taught by a model's own answers to texts without labels."""
