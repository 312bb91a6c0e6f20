"""Webhooks: the rows of webhooks and of what is delivered to them."""
