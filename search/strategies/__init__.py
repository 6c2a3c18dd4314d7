"""strategies of a search."""
