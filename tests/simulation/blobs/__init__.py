"""Blobs in the simulation: uploads, mounts, HEADs, deletions, garbage, healing."""
