"""Constraints, and what they leave of a grammar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dslc.automaton.classification import Classification
from dslc.automaton.spines import find_seen_lists
from dslc.automaton.split import split_parts
from dslc.automaton.totals import Totals
from dslc.language.analyze import Facts
from dslc.language.constraints import Constraint
from dslc.language.contexts import Contexts
from dslc.language.grammar import BnfGrammar
from dslc.language.split_grammar import SplitGrammar, split_grammar


@dataclass(frozen=True)
class Constraining:
    """The constraints of a grammar, looked up in it."""

    start: str
    trimmed: BnfGrammar
    constraints: tuple[Constraint, ...]
    contexts: Contexts | None
    """Of the inherited constraints; None where there are none."""
    texts: SplitGrammar | None
    """The grammar of the trees that the inherited constraints allow; None where there are none."""
    no_lists: frozenset[str]
    """Rules of the form of lists whose nodes an inherited constraint tells apart, so that they are none."""

    totals: Totals | None = None
    """What `at_most` and `at_least` count, and `ref` refers to; None where there are none."""

    def split(self, classification: Classification) -> Classification:
        """The parts as the inherited constraints allow them, one for each context."""
        return classification if self.contexts is None else split_parts(classification, self.contexts, self.start)


def constrain_grammar(facts: Facts, constraints: Sequence[Constraint]) -> Constraining:
    """What constraints leave of a grammar, seen from its start.

    Raises:
        DslcError: DSLC221 if one depends on what is not known in time, DSLC222 if a list that is to increase can stand
        inside another, DSLC332 if they make the grammar too large.
    """
    trimmed, start = facts.trimmed, facts.start
    constraints = tuple(constraints)
    is_threaded = any(not constraint.kind.is_inherited for constraint in constraints)
    totals = Totals(trimmed, start, constraints) if is_threaded else None
    if not any(constraint.kind.is_inherited for constraint in constraints):
        return Constraining(start, trimmed, constraints, None, None, frozenset(), totals)
    contexts = Contexts(trimmed, constraints)
    texts = split_grammar(trimmed, start, contexts)
    no_lists = find_seen_lists(trimmed, contexts, texts.contexts)
    return Constraining(start, trimmed, constraints, contexts, texts, no_lists, totals)
