"""Run the registry in a container, behind a proxy that ends TLS: all of it, or one plane."""
