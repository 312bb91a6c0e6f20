"""Manifests, tags and repositories in the simulation, and what locks them."""
