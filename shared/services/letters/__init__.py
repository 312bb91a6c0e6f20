"""Letters: messages that slept, that failed, that the host gave up, and a look at those."""
