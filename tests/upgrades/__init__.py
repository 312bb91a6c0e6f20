"""Upgrades: this version beside the last one, and the last one again, on one storage."""
