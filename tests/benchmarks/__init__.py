"""Benchmarks: costs of requests and starts, delays of webhooks. Run by hand; figures: README."""
