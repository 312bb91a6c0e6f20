"""A relay to what does not read a registry's events itself."""
