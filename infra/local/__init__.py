"""The registry on this machine, storage included: what `make run` starts."""
