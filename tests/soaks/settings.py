"""The search that is killed."""

GRAMMAR = """
start: A B A B
A: "1" | "2" | "3" | "4" | "5"
B: "x" | "y"
"""
EVALUATIONS = 60
RUN_VARIABLE = "DSLC_SOAK_RUN"
"""In the environment of all that a search starts: its run folder."""
