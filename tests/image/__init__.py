"""The image of the registry's own host: made, run by a real engine, kept in the registry."""
