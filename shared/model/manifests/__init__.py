"""What the registry reads in manifests: descriptors, media types, what is refused."""
