"""Triggers under /v2, the distribution specification."""
