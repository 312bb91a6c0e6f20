"""Webhooks: what one is, and what of it is secret."""
