"""Bytes are hashed again, and what is bad or missing is healed."""
