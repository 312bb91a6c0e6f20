"""The master keys: given by the settings, or kept in storage, wrapped and signed by a vault."""
