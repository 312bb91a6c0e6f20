"""Messages: what our queues carry, a module for each kind, and the letter that all of them are."""
