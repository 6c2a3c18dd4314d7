"""Grammar to syntax diagrams, one row a rule, as SVG; and the same tracks as a graph in DOT."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, assert_never, final

from dslc.language.grammar import (
    Expression,
    Grammar,
    Group,
    Literal,
    Maybe,
    Optional,
    Repetition,
    Rule,
    RuleUse,
    Sequence,
    Terminal,
    TerminalUse,
)
from dslc.program.draw.drawing import Drawing
from dslc.program.draw.figure import EDGE_SIZE, LINE_SIZE, NAME_SIZE, show_text, text_width
from dslc.program.draw.palette import INK, OUTSIDE, Kind
from dslc.program.draw.repetition import count_text
from dslc.program.draw.write_railroad_dot import write_railroad_dot
from dslc.program.draw.write_svg import draw_text, write_document

MOST_LITERALS = 200
"""Literals of a terminal that are drawn; the others are counted."""
_WIDEST = 860
"""Pixels of a row before it goes on below."""
_MOST_IN_COLUMN = 8
_NAME_STEP = 26
_GAP = 14


@final
@dataclass(frozen=True)
class RailroadDrawing(Drawing):
    """Syntax diagrams of the rules that a start reaches, and of their terminals, as the grammar writes them."""

    grammar: Grammar
    start: str
    heading: str

    @property
    def title(self) -> str:
        """As given."""
        return self.heading

    @cached_property
    def dot(self) -> str:
        """The tracks as a graph: a cluster a rule, junctions as points. Graphviz lays it out its own way."""
        rules, terminals = reach_symbols(self.grammar, self.start)
        by_name = {terminal.name: terminal for terminal in self.grammar.terminals}
        return write_railroad_dot(rules, terminals, by_name, self.heading)

    @cached_property
    def svg(self) -> str:
        """As of every drawing; no layout program is needed."""
        return _write_railroad(self.grammar, self.start, self.heading)


def draw_railroad(grammar: Grammar, start: str, title: str = "") -> RailroadDrawing:
    """Syntax diagrams of a grammar as written, from `start` on.

    A rounded box is text of the sentence, a square one a rule or a terminal with a row of its own. Aliases stand behind
    their alternatives where they say more than the text.
    """
    return RailroadDrawing(grammar, start, title)


def reach_symbols(grammar: Grammar, start: str) -> tuple[tuple[Rule, ...], tuple[Terminal, ...]]:
    """Rules that a start reaches, itself first, and the terminals of several literals in them, in order of writing."""
    rule_by_name = {rule.name: rule for rule in grammar.rules}
    reached, used = {start}, set[str]()
    stack = [start]
    while stack:
        for symbol in _walk_symbols(rule_by_name[stack.pop()]):
            if isinstance(symbol, TerminalUse):
                used.add(symbol.name)
            elif symbol.name not in reached:
                reached.add(symbol.name)
                stack.append(symbol.name)
    others = (rule for rule in grammar.rules if rule.name in reached and rule.name != start)
    terminals = (terminal for terminal in grammar.terminals if terminal.name in used and not terminal.is_forced)
    return (rule_by_name[start], *others), tuple(terminals)


def _walk_symbols(rule: Rule) -> Iterator[TerminalUse | RuleUse]:
    stack: list[Expression] = [alternative.expression for alternative in rule.alternatives]
    while stack:
        match stack.pop():
            case TerminalUse() | RuleUse() as symbol:
                yield symbol
            case Sequence(items):
                stack.extend(items)
            case Group(options):
                stack.extend(options)
            case Optional(item) | Maybe(item) | Repetition(item):
                stack.append(item)


def literal_text(literal: Literal) -> str:
    """A literal as drawn."""
    return show_text(literal.text) + (" (any case)" if literal.ignore_case else "")


# --- SVG --------------------------------------------------------------------------------------------------------------


def _write_railroad(grammar: Grammar, start: str, title: str) -> str:
    # The library is needed here alone.
    import railroad

    rules, terminals = reach_symbols(grammar, start)
    terminal_by_name = {terminal.name: terminal for terminal in grammar.terminals}
    rows = [(rule.name, _rule_item(rule, terminal_by_name)) for rule in rules]
    rows += [(terminal.name, _literals_item(terminal)) for terminal in terminals]
    parts: list[str] = []
    width, y = text_width(title, NAME_SIZE), 0.0
    if title:
        parts.append(draw_text(0, y + NAME_SIZE, show_text(title), NAME_SIZE, fill=OUTSIDE, anchor="start"))
        y += _NAME_STEP
    for name, item in rows:
        parts.append(draw_text(0, y + 16, show_text(name), NAME_SIZE, fill=OUTSIDE, anchor="start", is_bold=True))
        diagram = railroad.Diagram(item, type="complex").format(4, 2, 4, 2)
        _style_items(diagram)
        texts: list[str] = []
        diagram.children[0].writeSvg(texts.append)
        parts.append(f'<g transform="translate(0 {y + _NAME_STEP - 4:g})">{"".join(texts)}</g>')
        width = max(width, float(diagram.attrs["width"]))
        y += _NAME_STEP + float(diagram.attrs["height"]) + _GAP
    return write_document(title, parts, (0.0, 0.0, width, y - _GAP))


def _rule_item(rule: Rule, terminals: dict[str, Terminal]) -> Any:
    options = []
    for alternative in rule.alternatives:
        item = _item(alternative.expression, terminals)
        if alternative.alias and alternative.alias != _first_text(alternative.expression, terminals):
            item = _sequence([item, _comment(f"→ {alternative.alias}")])
        options.append(item)
    return _choice(options)


def _first_text(expression: Expression, terminals: dict[str, Terminal]) -> str | None:
    """The text that an expression begins with, as a name: what an alias often repeats."""
    while isinstance(expression, Sequence) and expression.items:
        expression = expression.items[0]
    if isinstance(expression, TerminalUse) and terminals[expression.name].is_forced:
        return re.sub(r"\W", "_", terminals[expression.name].literals[0].text)
    return None


def _item(expression: Expression, terminals: dict[str, Terminal]) -> Any:
    """A part of a row; recursive, since the reader limits how deep brackets nest."""
    import railroad

    match expression:
        case TerminalUse(name):
            terminal = terminals[name]
            if terminal.is_forced or terminal.is_anonymous:
                return _literals_item(terminal)
            return _box(railroad.NonTerminal, name, Kind.SHAPE)
        case RuleUse(name):
            return _box(railroad.NonTerminal, name, Kind.RULE)
        case Sequence(items):
            return _sequence([_item(item, terminals) for item in items])
        case Group(options):
            return _choice([_item(option, terminals) for option in options])
        case Optional(item) | Maybe(item):
            return railroad.Optional(_item(item, terminals))
        case Repetition(item, minimum, maximum):
            inner = _item(item, terminals)
            if maximum == 0:
                return railroad.Skip()
            if (minimum, maximum) in ((0, 1), (1, 1)):
                return railroad.Optional(inner) if minimum == 0 else inner
            loop = railroad.OneOrMore(inner, _comment(times)) if (times := count_text(minimum, maximum)) else None
            loop = loop or railroad.OneOrMore(inner)
            return railroad.Optional(loop) if minimum == 0 else loop
        case _:
            assert_never(expression)


def _literals_item(terminal: Terminal) -> Any:
    import railroad

    shown = terminal.literals if len(terminal.literals) <= MOST_LITERALS else terminal.literals[: MOST_LITERALS - 1]
    options = [_box(railroad.Terminal, literal_text(literal), Kind.LEAF) for literal in shown]
    if len(shown) < len(terminal.literals):
        options.append(_comment(f"… {len(terminal.literals) - len(shown)} more"))
    return _choice(options)


def _choice(options: list[Any]) -> Any:
    """One of several: below one another, or where there are many in columns of a row."""
    import railroad

    if len(options) == 1:
        return options[0]
    columns, width = [], 0.0
    size = math.ceil(len(options) / math.ceil(len(options) / _MOST_IN_COLUMN))
    rows: list[list[Any]] = [[]]
    for first in range(0, len(options), size):
        column = railroad.Choice(0, *options[first : first + size])
        if width + column.width > _WIDEST and rows[-1]:
            rows.append([])
            width = 0.0
        rows[-1].append(column)
        width += column.width + 20
    columns = [railroad.HorizontalChoice(*row) for row in rows]
    return columns[0] if len(columns) == 1 else railroad.Choice(0, *columns)


def _sequence(items: list[Any]) -> Any:
    """One after the other, on several lines where it is long."""
    import railroad

    if not items:
        return railroad.Skip()
    if len(items) == 1:
        return items[0]
    lines: list[list[Any]] = [[]]
    width = 0.0
    for item in items:
        if lines[-1] and width + item.width + 20 > _WIDEST:
            lines.append([])
            width = 0.0
        lines[-1].append(item)
        width += item.width + 20
    return railroad.Sequence(*items) if len(lines) == 1 else railroad.Stack(*(railroad.Sequence(*x) for x in lines))


def _box(make: Any, text: str, kind: Kind) -> Any:
    item = make(show_text(text), cls=kind.class_name)
    # The library measures a monospaced font.
    item.width = text_width(show_text(text), LINE_SIZE + 1) + 20
    return item


def _comment(text: str) -> Any:
    import railroad

    item = railroad.Comment(show_text(text))
    item.width = text_width(show_text(text), EDGE_SIZE) + 10
    return item


def _style_items(diagram: Any) -> None:
    """Give each element the colour that it has without a style sheet, and the class by which the sheet swaps it."""
    kind_by_class = {kind.class_name: kind for kind in Kind}
    stack: list[tuple[Any, Kind | None]] = [(diagram, None)]
    while stack:
        item, kind = stack.pop()
        if isinstance(item, str):
            continue
        name = getattr(item, "name", "path")
        if name == "g":
            last = str(item.attrs.get("class", "")).split(" ")[-1]
            kind = kind_by_class.get(last)
            item.attrs.pop("class", None)
        elif name == "rect" and kind is not None:
            item.attrs |= {"class": kind.class_name, "fill": kind.value.fill.light, "stroke": kind.value.line.light}
        elif name == "text":
            is_inside = kind is not None
            item.attrs |= {"text-anchor": "middle", "fill": INK.light if is_inside else OUTSIDE}
            item.attrs["font-size"] = LINE_SIZE + 1 if is_inside else EDGE_SIZE
            item.attrs["class"] = "ink" if is_inside else "comment"
        elif name == "path":
            item.attrs |= {"fill": "none", "stroke": OUTSIDE, "stroke-width": "1.5"}
        stack.extend((child, kind) for child in getattr(item, "children", ()))
