"""Operators' commands: what is done to a registry from outside of it."""
