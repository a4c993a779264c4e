"""Finished answers, cached text by text: in this process's memory, and in a Redis that servers share."""
