"""What clients do: a module for each noun of the specification."""
