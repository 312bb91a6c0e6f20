"""Outbound: where to the registry may connect, what it sends there and what comes back."""
