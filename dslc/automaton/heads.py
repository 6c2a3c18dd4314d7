"""Which tokens name a node that is finished already, and when nodes are finished: what the heads of a policy ask for.

The marks are a walk of their own over the runs of a grammar, beside that of the mask, with the number of nodes that
each step finishes. Positions and return addresses are as in `dslc.automaton.tables`; a run's *pending* nodes are those
that are finished when it is used up, and stand beside each return address too. One step:

    cell     = slot_base[top] + token
    closes   = behind[top] + (pending if next[top] == 0 else 0)     # when what fills the slot is finished
    finished += lead[cell] + (closes if run[cell] == 0 else 0)
    if next[top]: push (next[top], pending)
    top, pending = (run[cell], closes) if run[cell] else pop

A run that ends in a run hands its pending nodes on, so a step is no loop however many nodes end with a token.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class NodeMarks:
    """When nodes of R rules are finished: P positions (0 = done), cells by slot and token, padding included."""

    rules: tuple[str, ...]
    start_position: int
    start_finished: NDArray[np.int32]
    """[R] nodes that are finished before the first token."""
    slot_base: NDArray[np.int32]
    """[P] where the cells of the position's slot begin."""
    next: NDArray[np.int32]
    """[P] the following position of the same run, 0 for its last."""
    behind: NDArray[np.int32]
    """[P, R] nodes that are finished with the slot, before the next one of its run."""
    run: NDArray[np.int32]
    """[cell] first position of the run that the choice leaves, 0 for none."""
    lead: NDArray[np.int32]
    """[cell, R] nodes that are finished with the token itself."""


@dataclass(frozen=True, slots=True)
class AnchorTokens:
    """A yes / no decision about a node: the k-th in a row asks about the k-th node of the rule."""

    terminal: str
    rule: int
    """Index into the rules of the marks."""
    yes: int
    """Token id."""
    no: int
    """Token id."""


@dataclass(frozen=True, slots=True)
class PointerTokens:
    """Tokens that name an input or a finished node."""

    terminal: str
    rule: int
    """Index into the rules of the marks."""
    num_inputs: int
    """Targets below this are inputs, the target `num_inputs + k` is the k-th finished node."""
    tokens: tuple[int, ...]
    """Token ids."""
    targets: tuple[int, ...]
    """What each names."""


@dataclass(frozen=True, eq=False)
class Heads:
    """All tokens that a policy decides with a head of their own."""

    marks: NodeMarks
    anchors: tuple[AnchorTokens, ...] = ()
    pointers: tuple[PointerTokens, ...] = ()


def find_heads_fault(heads: Heads, num_tokens: int) -> str | None:
    """What would make a policy read outside the tables, for tables that come from a file; None if nothing does."""
    marks, width = heads.marks, num_tokens + 1
    rules, positions, cells = len(marks.rules), len(marks.next), len(marks.run)
    shapes = {
        "start_finished": (rules,),
        "slot_base": (positions,),
        "behind": (positions, rules),
        "lead": (cells, rules),
    }
    for name, shape in shapes.items():
        if getattr(marks, name).shape != shape:
            return f"table `{name}` of the marks has the shape {getattr(marks, name).shape}, not {shape}"
    if not 0 <= marks.start_position < positions or cells % width or not cells:
        return "the marks have no start"
    bounds = (
        ("slot_base", marks.slot_base, cells - width + 1),
        ("run", marks.run, positions),
        # What follows a position is numbered before it, so that a run ends.
        ("next", marks.next, np.maximum(np.arange(positions), 1)),
    )
    for name, table, bound in bounds:
        if bool(np.any(table < 0)) or bool(np.any(table >= bound)):
            return f"table `{name}` of the marks points outside"
    if any(bool(np.any(table < 0)) for table in (marks.behind, marks.lead, marks.start_finished)):
        return "the marks finish fewer nodes than none"
    asked: list[tuple[int, tuple[int, ...]]] = [(each.rule, (each.yes, each.no)) for each in heads.anchors]
    asked += [(each.rule, each.tokens) for each in heads.pointers]
    if any(not 0 <= rule < rules for rule, _ in asked):
        return "a head asks about a rule without marks"
    if any(not 0 <= token < num_tokens for _, tokens in asked for token in tokens):
        return "a head has a token that is none"
    if any(len(each.tokens) != len(each.targets) or min(each.targets, default=0) < 0 for each in heads.pointers):
        return "a head points at nothing"
    return None
