"""Benchmarks: ratios measured side by side in one run against what users would use instead. See `make bench`."""
