"""Rules, a module for each noun of the specification."""
