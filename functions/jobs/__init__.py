"""Triggers of queues, blobs and timers."""
