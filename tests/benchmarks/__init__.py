"""Benchmarks: what requests and starts cost. Run by hand; the README holds the figures."""
