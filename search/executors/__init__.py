"""executors of a search."""
