"""What the program stands on; neither imported by it nor deployed with it."""
