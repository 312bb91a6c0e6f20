"""The master keys: given by the settings, or kept in storage, wrapped by a vault."""
