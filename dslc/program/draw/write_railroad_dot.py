"""Rules to DOT text: the tracks of their syntax diagrams as a graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from dslc.language.grammar import (
    Expression,
    Group,
    Maybe,
    Optional,
    Repetition,
    Rule,
    RuleUse,
    Sequence,
    Terminal,
    TerminalUse,
)
from dslc.program.draw.figure import show_text
from dslc.program.draw.palette import INK, OUTSIDE, Kind
from dslc.program.draw.repetition import count_text
from dslc.program.draw.write_dot import FONT, quote


def write_railroad_dot(
    rules: tuple[Rule, ...], terminals: tuple[Terminal, ...], terminal_by_name: Mapping[str, Terminal], title: str
) -> str:
    """DOT text: a cluster for each rule and terminal, through which every way from first to last point is a text of it.

    Points are junctions of tracks; how often a track may be gone is written at the arrow that goes back.
    """
    writer = _Writer(terminal_by_name)
    for rule in rules:
        start = writer.begin(rule.name)
        ends = [
            (writer.add_track(alternative.expression, start), f"→ {alternative.alias}" if alternative.alias else "")
            for alternative in rule.alternatives
        ]
        writer.end(ends)
    for terminal in terminals:
        start = writer.begin(terminal.name)
        writer.end([(writer.add_track(TerminalUse(terminal.name), start, is_spelled=True), "")])
    lines = [
        f"digraph {quote(show_text(title or 'railroad'))} {{",
        f'  graph [rankdir=LR, nodesep=0.15, ranksep=0.25, bgcolor="transparent", fontname="{FONT}",'
        f' fontcolor="{OUTSIDE}", labelloc=t, labeljust=l, label={quote(show_text(title) if title else "")}]',
        f'  node [shape=point, width=0.06, color="{OUTSIDE}", fontname="{FONT}", fontsize=11, fontcolor="{INK.light}"]',
        f'  edge [color="{OUTSIDE}", fontname="{FONT}", fontsize=10, fontcolor="{OUTSIDE}", arrowsize=0.5]',
    ]
    return "\n".join([*lines, *writer.lines, "}"]) + "\n"


class _Writer:
    """Nodes are numbered through the whole text; a track goes from a node on, and ends at the one returned."""

    def __init__(self, terminal_by_name: Mapping[str, Terminal]) -> None:
        self.terminal_by_name = terminal_by_name
        self.lines: list[str] = []
        self.count = 0
        self.num_clusters = 0

    def begin(self, name: str) -> int:
        """The first point of a new cluster."""
        self.lines.append(f"  subgraph cluster_{self.num_clusters} {{")
        self.lines.append(f'    label={quote(show_text(name))}; labeljust=l; color="{OUTSIDE}"')
        self.num_clusters += 1
        return self._add_point()

    def end(self, ends: list[tuple[int, str]]) -> None:
        """Lead all tracks to the last point of the cluster."""
        last = self._add_point()
        for node, text in ends:
            self._add_arrow(node, last, text)
        self.lines.append("  }")

    def add_track(self, expression: Expression, start: int, *, is_spelled: bool = False) -> int:
        """Recursive, since the reader limits how deep brackets nest; a terminal is spelled out or only named."""
        match expression:
            case TerminalUse(name):
                terminal = self.terminal_by_name[name]
                if not (is_spelled or terminal.is_forced or terminal.is_anonymous):
                    return self._add_box(start, name, Kind.SHAPE, is_round=False)
                ends = [self._add_box(start, x.text, Kind.LEAF, is_round=True) for x in terminal.literals]
                return self._join(ends)
            case RuleUse(name):
                return self._add_box(start, name, Kind.RULE, is_round=False)
            case Sequence(items):
                for item in items:
                    start = self.add_track(item, start)
                return start
            case Group(options):
                return self._join([self.add_track(option, start) for option in options])
            case Optional(item) | Maybe(item):
                return self._join([self.add_track(item, start), start])
            case Repetition(item, minimum, maximum):
                first = self._join([start])
                last = self._join([self.add_track(item, first), *([start] if minimum == 0 else [])])
                if maximum is None or maximum > 1:
                    self._add_arrow(last, first, count_text(minimum, maximum))
                return last
            case _:
                assert_never(expression)

    def _join(self, ends: list[int]) -> int:
        point = self._add_point()
        for node in ends:
            self._add_arrow(node, point, "")
        return point

    def _add_point(self) -> int:
        self.count += 1
        self.lines.append(f"    n{self.count}")
        return self.count

    def _add_box(self, start: int, text: str, kind: Kind, *, is_round: bool) -> int:
        self.count += 1
        style = "rounded,filled" if is_round else "filled"
        tone = kind.value
        self.lines.append(
            f'    n{self.count} [shape=box, style="{style}", height=0.25, width=0.25, label={quote(show_text(text))},'
            f' fillcolor="{tone.fill.light}", color="{tone.line.light}"]'
        )
        self._add_arrow(start, self.count, "")
        return self.count

    def _add_arrow(self, tail: int, head: int, text: str) -> None:
        label = f" [label={quote(show_text(text))}]" if text else ""
        self.lines.append(f"    n{tail} -> n{head}{label}")
