"""Webhooks as operators make and change them."""
