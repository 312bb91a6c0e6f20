"""Webhooks: what those outside are told, how, and what becomes of it."""
