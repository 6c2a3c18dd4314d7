"""Limits on the work that one grammar file can cause: counts, never seconds, so a file fails alike on every machine.

Each is named in the error that it causes and raised by an environment variable: `DSLC_LIMIT_LITERALS=50000`.
"""

from __future__ import annotations

import os
import re
from enum import Enum

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity


class Limit(Enum):
    """What is limited: the name of the limit, and its default."""

    CHARACTERS = ("characters", 100_000)
    """Of a grammar file."""
    RULES = ("rules", 5_000)
    """Rules and terminals of a grammar file, as written."""
    NESTING = ("nesting", 60)
    """Parentheses and brackets inside one another, in rules and in regexes."""
    SYMBOLS = ("symbols", 200_000)
    """In all productions, when repetitions are written out."""
    LITERALS = ("literals", 10_000)
    """Of one terminal."""
    LITERAL_LENGTH = ("literal_length", 10_000)
    """Characters of one literal."""
    REFERENCES = ("references", 300)
    """Terminals in one terminal, when all of them are written out."""
    REGEX_PARTS = ("regex_parts", 2_000)
    """Characters and classes of one regex, when its repetitions are written out."""
    REGEX_CHARACTERS = ("regex_characters", 50_000)
    """That the ranges of one regex span."""
    REGEX_STEPS = ("regex_steps", 5_000_000)
    """Comparisons of states, about, while one regex becomes a finite automaton."""
    SLOTS = ("slots", 65_536)
    """Of an automaton."""
    POSITIONS = ("positions", 2_097_152)
    """Of an automaton."""
    FIRST_TOKENS = ("first_tokens", 300_000)
    """Of all rules together, repetitions written out, that one token chooses with its first literal."""
    TABLE_CELLS = ("table_cells", 12_500_000)
    """Of the choice tables and the mask together: 50 MB."""
    SAVED_BYTES = ("saved_bytes", 1_073_741_824)
    """Of what a saved space holds, unpacked."""

    @property
    def default(self) -> int:
        """The number in force where no environment variable says another."""
        return self.value[1]

    @property
    def variable(self) -> str:
        """The environment variable that raises it."""
        return f"DSLC_LIMIT_{self.name}"

    @property
    def number(self) -> int:
        """The number in force.

        Raises:
            DslcError: DSLC682 if the environment variable is no whole number.
        """
        text = os.environ.get(self.variable)
        if text is None:
            return self.default
        if not re.fullmatch(r"[0-9]{1,15}", text):
            raise DslcError(
                Diagnostic(
                    Code.USAGE,
                    Severity.ERROR,
                    f"the environment variable {self.variable} is `{text}`, which is no whole number",
                    help=f"the default is {self.default}",
                )
            )
        return int(text)

    def advise(self, advice: str) -> str:
        """An advice that ends with how the limit is raised.

        Example:
            >>> Limit.RULES.advise("split the file")
            'split the file; or raise the limit `rules`: DSLC_LIMIT_RULES=10000'
        """
        return f"{advice}; or raise the limit `{self.value[0]}`: {self.variable}={2 * self.number}"
