"""The package for Azure: the same bytes each time, and a registry that runs from them alone."""
