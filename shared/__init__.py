"""Everything that would survive a change of host: the registry itself."""
