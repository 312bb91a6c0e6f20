"""What a receiver is sent, and what of that may be shown."""
