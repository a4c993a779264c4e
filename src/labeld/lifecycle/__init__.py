"""Models come and go: loading, leases, eviction, back-off."""
