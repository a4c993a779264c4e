"""Side by side with other servers, on the same weights and the same traffic: `python -m benchmarks compare`."""
