"""State: the ports, the adapters, and the one map of keys."""
