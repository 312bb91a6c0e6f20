"""What nothing uses any more: it leaves its repositories, and its bytes go."""
