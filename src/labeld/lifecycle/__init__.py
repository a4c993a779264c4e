"""The life of models: loading, leases, eviction, back-off."""
