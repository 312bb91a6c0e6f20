"""Asking: requests of every kind, the bodies they carry, and what Azure tells of the app."""
