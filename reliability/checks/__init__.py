"""The checks, one per file: a function `check` that breaks labeld and returns figures with their bars."""
