"""Examples: receivers, relays and configurations to copy."""
