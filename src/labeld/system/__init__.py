"""The machine: memory, disk, cores, files, locks between processes."""
