"""A model folder's files to arrays and meaning: weights, config, card, revision."""
