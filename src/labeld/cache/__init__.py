"""Finished answers, remembered per text: in this process's memory, and in a Redis that servers share."""
