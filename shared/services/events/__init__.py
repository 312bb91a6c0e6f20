"""Who is told of what has happened, a module for each consumer."""
