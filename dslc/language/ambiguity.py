"""Whether a sentence can have two trees: yes with a witness, no by proof, or unknown.

The question is asked of rendered sentences. Where the grammar ignores blanks, text that a person writes without them
can be readable in more ways; parsing says so for each text.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from dslc.language.atoms import make_atom_grammar, make_literal_grammar
from dslc.language.disjointness import is_disjoint
from dslc.language.draw_witness import draw_witness as draw_witness
from dslc.language.enumerate_texts import find_cycle
from dslc.language.grammar import BnfGrammar
from dslc.language.lr1 import is_lr1
from dslc.language.witness import Witness as Witness
from dslc.language.witness import make_cycle_witness, search_witness

MAX_ITEMS = 20_000
"""Limit of work of the LR(1) test: items of all states, repeats counted; tried at most twice."""
MAX_TEXTS = 20_000
"""Limit of work of the search for a witness: concatenations of two texts."""
MAX_PARSES = 400
"""Most sentences that the search parses where counting them is not exact."""
MAX_STATES = 400
"""Limit of work of the disjointness test: states of an automaton before equal ones are merged."""


class Answer(Enum):
    """Is the grammar ambiguous?"""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Method(Enum):
    """What decided it."""

    CYCLE = "a rule derives just itself"
    LR1 = "LR(1)"
    WITNESS = "a text with two trees"
    ENUMERATION = "all sentences were looked at"
    DISJOINTNESS = "alternatives and cuts are disjoint"
    NONE = "undecided"


@dataclass(frozen=True, slots=True)
class Ambiguity:
    """The answer, with what shows it."""

    answer: Answer
    witness: Witness | None
    """A sentence with two trees; there exactly if the answer is yes."""
    method: Method
    cycle: tuple[str, ...] = ()
    """Labels of rules that derive just one another in a circle, as in `a` from `b` from `a`; empty where there is
    none.
    """


def find_ambiguity(trimmed: BnfGrammar, start: str) -> Ambiguity:
    """Whether some rendered sentence has two derivations.

    Limits are counts of work, so the answer is the same on every machine.

    Args:
        trimmed: a grammar of productive rules that are reachable from `start`.
        start: name of its start rule.

    Source:
        Knuth 1965 (LR(1)); Brabrand, Giegerich & Møller 2010 (disjointness).

    Example:
        >>> from dslc.language.grammar import BnfRule, Literal, Production, Terminal, TerminalUse
        >>> from dslc.source import SourceFile
        >>> rule = BnfRule("start", (Production((TerminalUse("A"),)), Production((TerminalUse("B"),))))
        >>> terminals = (Terminal("A", (Literal("x"),)), Terminal("B", (Literal("x"), Literal("y"))))
        >>> found = find_ambiguity(BnfGrammar(SourceFile("a.lark", ""), (rule,), terminals), "start")
        >>> found.answer, found.witness.text
        (<Answer.YES: 'yes'>, 'x')
    """
    grammar = make_atom_grammar(trimmed, start)
    circle = find_cycle(make_literal_grammar(trimmed, start))
    if not circle and is_lr1(grammar, max_work=MAX_ITEMS):
        return Ambiguity(Answer.NO, None, Method.LR1)
    search = search_witness(trimmed, start, grammar, max_work=MAX_TEXTS, max_parses=MAX_PARSES)
    if circle:
        names = tuple(trimmed.rules[rule].label or trimmed.rules[rule].name for rule in circle)
        witness = search.witness or make_cycle_witness(trimmed, start, circle[0])
        return Ambiguity(Answer.YES, witness, Method.CYCLE, names)
    if search.witness is not None:
        return Ambiguity(Answer.YES, search.witness, Method.WITNESS)
    if search.is_complete:
        return Ambiguity(Answer.NO, None, Method.ENUMERATION)
    if is_disjoint(grammar, max_states=MAX_STATES):
        return Ambiguity(Answer.NO, None, Method.DISJOINTNESS)
    return Ambiguity(Answer.UNKNOWN, None, Method.NONE)
