"""report of a search."""
