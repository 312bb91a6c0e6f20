"""HTTP: requests come in, and the function whose route fits is found."""
