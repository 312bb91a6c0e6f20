"""Package: what Azure runs, in one file: the app, and the locked wheels for Azure's platform."""
