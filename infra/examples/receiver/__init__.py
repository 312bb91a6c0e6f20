"""A receiver in Python that deploys what is pushed."""
