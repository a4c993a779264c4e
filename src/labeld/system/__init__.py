"""The machine: memory, disk, cores, locks between processes."""
