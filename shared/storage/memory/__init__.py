"""Storage in memory: the three ports as dictionaries, for tests and simulations.

It behaves as Azure does (one contract suite runs over both), refuses what Azure refuses, takes the
time from the clock it is given, knows no chance, and does each call in one step: nothing else runs
between a call's check and its write.
"""
