"""How an account of Azure Storage is reached, and by whom."""
