"""Upkeep in the simulation: errands, events, the sweep, what has rotted."""
