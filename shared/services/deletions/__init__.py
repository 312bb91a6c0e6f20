"""What comes back, and what goes as a whole: restores, and deletions of repositories."""
