"""A grammar file as data: read, normalize, analyze."""
