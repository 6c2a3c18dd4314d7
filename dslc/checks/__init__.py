"""Checks of a compiled grammar, one a file."""
