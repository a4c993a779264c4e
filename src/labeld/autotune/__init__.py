"""The choice of a model's precision, by a trial on evaluation texts."""
