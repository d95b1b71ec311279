"""Benchmarks: the gateway against a bare Tornado server that does the same outward work, in the same run. `python -m tests.bench`."""
