"""Searches over a compiled grammar."""

if __name__ != "dslc.search":
    raise ImportError("import dslc.search, not search")
