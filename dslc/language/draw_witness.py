"""The two trees of an ambiguous text as text, in the user's own rule names."""

from __future__ import annotations

from dslc.language.grammar import BnfGrammar, BnfRule
from dslc.language.reading import Reading, Scan
from dslc.language.witness import Witness

MAX_COLUMNS = 160
"""Widest tree that is drawn side by side; a wider one is drawn as an outline."""

_Block = list[str]
"""Lines of a drawn tree, its root first."""


def draw_witness(bnf: BnfGrammar, witness: Witness) -> str:
    """Both trees of a witness, one under the other: rule names above what they derive, with the alternative taken.

    Helper rules are shown as the operator that the user wrote. An alternative is named by its alias, else by its
    number from 1 where there are several.

    Source:
        The form of GNU Bison's -Wcounterexamples.
    """
    sentence = f"sentence: {witness.text}" if witness.text else "sentence: the empty text"
    first = ["  " + line for line in _draw(bnf, witness.first)]
    second = ["  " + line for line in _draw(bnf, witness.second)]
    return "\n".join([sentence, "first tree", *first, "second tree", *second])


def _draw(bnf: BnfGrammar, reading: Reading) -> list[str]:
    block = _draw_blocks(bnf, reading)
    return block if max(map(len, block)) <= MAX_COLUMNS else _draw_outline(bnf, reading)


def _draw_blocks(bnf: BnfGrammar, reading: Reading) -> _Block:
    finished: list[_Block] = []
    for step in reversed(reading):  # so that the children of a node are finished, first child last
        if isinstance(step, Scan):
            finished.append([_leaf(bnf, step)])
            continue
        rule = bnf.rule_by_name[step.rule]
        children = [finished.pop() for _ in rule.productions[step.production].symbols]
        mark = f"↳ {_alternative(rule, step.production)}"
        below = _beside(children) if children else ["(empty)"]
        indent = " " * len(mark)
        finished.append([_name(rule), mark + below[0], *(indent + line for line in below[1:])])
    return [line.rstrip() for line in finished[0]]


def _beside(blocks: list[_Block]) -> _Block:
    height = max(map(len, blocks))
    widths = [max(map(len, block)) for block in blocks]
    lines = []
    for row in range(height):
        cells = [
            (block[row] if row < len(block) else "").ljust(width) for block, width in zip(blocks, widths, strict=True)
        ]
        lines.append(" ".join(cells).rstrip())
    return lines


def _draw_outline(bnf: BnfGrammar, reading: Reading) -> list[str]:
    lines = []
    open_children = [1]
    for step in reading:
        while not open_children[-1]:
            open_children.pop()
        open_children[-1] -= 1
        indent = "  " * (len(open_children) - 1)
        if isinstance(step, Scan):
            lines.append(indent + _leaf(bnf, step))
            continue
        rule = bnf.rule_by_name[step.rule]
        symbols = rule.productions[step.production].symbols
        text = f"{_name(rule)} ↳ {_alternative(rule, step.production)}".removesuffix(" ↳ ").removesuffix(": ")
        lines.append(indent + (text if symbols else f"{text}: (empty)"))
        open_children.append(len(symbols))
    return lines


def _name(rule: BnfRule) -> str:
    return rule.label or rule.name


def _alternative(rule: BnfRule, production: int) -> str:
    alias = rule.productions[production].alias
    if alias is not None:
        return f"{alias}: "
    return f"{rule.productions[production].choice + 1}: " if len(rule.productions) > 1 and rule.helper is None else ""


def _leaf(bnf: BnfGrammar, step: Scan) -> str:
    terminal = bnf.terminal_by_name[step.terminal]
    text = f'"{terminal.literals[step.literal].text}"'
    return text if terminal.is_anonymous else f"{terminal.name}={text}"
