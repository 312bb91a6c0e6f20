"""Attributes: what may be listed, read, changed and deleted, and who heeds that."""
