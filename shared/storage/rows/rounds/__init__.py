"""What is written down of rounds: how far they are, and what they found."""
