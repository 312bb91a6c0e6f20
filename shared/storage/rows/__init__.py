"""Rows in the domain's words, a module for each kind; they stand once over the port of rows."""
