"""Proof of reliability: a real labeld is broken in the ways of an operator's life, and what was lost is counted."""
