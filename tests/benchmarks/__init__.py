"""Benchmarks: what requests and starts cost, how soon receivers hear. Run by hand; the README holds the figures."""
