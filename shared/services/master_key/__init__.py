"""Replacing the master key that is kept in storage."""
