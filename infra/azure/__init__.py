"""In Azure: what the registry is deployed with, and what is run after a deployment."""
