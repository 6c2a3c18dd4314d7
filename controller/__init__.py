"""Recurrent policies over a token automaton."""

if __name__ != "dslc.controller":
    raise ImportError("import dslc.controller, not controller")
