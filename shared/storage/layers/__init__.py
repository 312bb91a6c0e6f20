"""Layers: ports over ports, each of which adds one thing that every call is to have."""
