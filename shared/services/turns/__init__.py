"""Turns: how much a process does at once, and who comes next."""
