"""The order in which texts run, and their batches."""
