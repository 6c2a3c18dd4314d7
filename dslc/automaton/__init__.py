"""A space as tables: lower a grammar to the token automaton, run it, count with it."""
