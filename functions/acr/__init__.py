"""Triggers under /acr, Azure's own API."""
