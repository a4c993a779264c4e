"""Which precision a model can take, tried on evaluation texts."""
