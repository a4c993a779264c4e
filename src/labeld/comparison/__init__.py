"""Comparison of labeld's answers, speed and memory with those of what runs today, on the operator's own texts."""
