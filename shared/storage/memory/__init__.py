"""Storage in memory: the three ports as dictionaries, for tests and simulations.

It behaves as Azure does (one contract suite runs over both), knows no clock and no chance, and
does each call in one step: nothing else runs between a call's check and its write.
"""
