"""What keeps the promises when nobody is asking."""
