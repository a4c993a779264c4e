"""Inference with transformers' own classes, for architectures without a packed graph."""
