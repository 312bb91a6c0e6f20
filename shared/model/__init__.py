"""Pure words: what a digest, a name, a manifest is. No I/O, no host, no store."""
