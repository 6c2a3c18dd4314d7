"""What users hold: a Space (a compiled grammar) and its Programs."""
