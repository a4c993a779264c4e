"""What can be observed, and its counting."""
