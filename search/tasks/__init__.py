"""tasks of a search."""
