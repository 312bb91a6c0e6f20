"""The slow sweep: what a crash left, found by going through all there is."""
