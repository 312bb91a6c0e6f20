"""What triggers functions that no client waits for: queues, blobs, time."""
