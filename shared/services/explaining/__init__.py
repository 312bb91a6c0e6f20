"""Explaining: why something is kept, and when it goes, read from what is there."""
