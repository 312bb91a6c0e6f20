"""The version of the registry."""

VERSION = "0.1.0"
