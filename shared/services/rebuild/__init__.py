"""The day when tables are lost: rows are made again from the objects."""
