"""Groups of commands: a module for each."""
