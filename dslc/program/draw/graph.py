"""Program graph to figure: one box a value, coloured by what computes it, with shapes on the arrows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from string import Formatter
from typing import assert_never

from dslc.program.draw.curve import trace_curve
from dslc.program.draw.drawing import FigureDrawing
from dslc.program.draw.figure import Arrow, Box, Cell, Direction, Figure
from dslc.program.draw.group_nodes import Group, group_nodes, operand_names
from dslc.program.draw.palette import Kind
from dslc.program.graph import INPUT, Graph, Node
from dslc.program.op_rules import AttributeValue, Draw, Parameter, Spread
from dslc.program.targets import Target
from dslc.program.tensor_type import REST, TensorType

MOST_ARROWS_OF_AN_INPUT = 3
"""An input with more is drawn once beside each of its users: as papers draw cells, where x stands below every leaf."""
_MOST_PARAMETERS = 5
"""A box with more trained tensors says only how many."""
_COMMON = 0.6
"""A shape on more of the arrows than this stands once in the figure's note instead."""


def draw_graph(graph: Graph, title: str = "", target: Target | None = None) -> FigureDrawing:
    """A drawing of a graph under `title`, normally the sentence; its target adds the formula and the curve it knows.

    Values flow downwards, or upwards where there are several outputs, as papers draw recurrent cells. Values that one
    part of the sentence makes one after the other share a box: a convolution, its normalisation and its activation. A
    formula calls the inputs of its op `a`, `b` and so on, and so do the arrows into it. A shape that most arrows share
    stands once above them all, and that of a value which several boxes take stands in its own box.

    Example:
        >>> from dslc.program.graph import GraphBuilder
        >>> from dslc.program.tensor_type import Symbol
        >>> builder = GraphBuilder()
        >>> x = builder.add_input("x", TensorType((Symbol("batch"), 8)))
        >>> figure = draw_graph(builder.finish(builder.add("sin", x))).figure
        >>> [box.name for box in figure.boxes], figure.note
        (['x', 'sin', 'output'], 'every arrow carries batch × 8')
    """
    groups = group_nodes(graph)
    input_names, output_names = _endpoint_names(graph)
    uses = Counter(source for group in groups for source in group.sources)
    shapes = _Shapes(graph, uses)
    boxes: list[Box] = []
    place: dict[int, int] = {}
    arrows: list[Arrow] = []

    def add_box(box: Box) -> int:
        boxes.append(box)
        return len(boxes) - 1

    def add_input(number: int) -> int:
        is_alone = uses[number] <= MOST_ARROWS_OF_AN_INPUT and len(graph.outputs) == 1
        note = "input" if is_alone else ""
        return add_box(Box(Kind.ENDPOINT, input_names[number], note=note, lines=shapes.write_in_box(number)))

    def add_arrow(tail: int, head: int, operand: str, source: int) -> None:
        arrows.append(Arrow(tail, head, ": ".join(part for part in (operand, shapes.write_on_arrow(source)) if part)))

    for group in groups:
        first = group.host
        if first.op == INPUT:
            if uses[first.id] <= MOST_ARROWS_OF_AN_INPUT:
                place[first.id] = add_input(first.id)
            continue
        # An input that has no place of its own is drawn anew for each of its users.
        copies = {source: add_input(source) for source in dict.fromkeys(group.sources) if source not in place}
        box = add_box(_group_box(group, {graph.nodes[source].type for source in first.inputs}, shapes))
        place.update(dict.fromkeys((node.id for node in (first, *group.after)), box))
        for operand, source in zip(operand_names(first), group.sources, strict=True):
            add_arrow(copies.get(source, place.get(source, 0)), box, operand, source)
    last = []
    for output, name in zip(graph.outputs, output_names, strict=True):
        tail = place[output] if output in place else add_input(output)
        last.append(add_box(Box(Kind.ENDPOINT, name)))
        add_arrow(tail, last[-1], "", output)
    interval = target.plot_inputs(graph) if target is not None else None
    return FigureDrawing(
        Figure(
            title,
            tuple(boxes),
            tuple(arrows),
            is_tree=False,
            direction=Direction.UP if len(graph.outputs) > 1 else Direction.DOWN,
            last=tuple(last) if len(last) > 1 else (),
            formula=formula_text((target.write_formula(graph) if target is not None else None) or ""),
            note=shapes.note,
            curve=trace_curve(graph, interval) if interval is not None else None,
        )
    )


class _Shapes:
    """Where shapes stand: once above all arrows, in the box of a value that has several arrows, or on its arrow."""

    def __init__(self, graph: Graph, uses: Counter[int]) -> None:
        """The shapes of a graph whose boxes take each value as often as `uses` says."""
        self._graph = graph
        copied = [node.id for node in graph.inputs if uses[node.id] > MOST_ARROWS_OF_AN_INPUT]
        num_arrows = uses + Counter(graph.outputs)
        self._several = {value for value, count in num_arrows.items() if count > 1} - {*copied}
        carried = Counter(graph.nodes[value].type for value in num_arrows.elements())
        common, count = carried.most_common(1)[0]
        # A shape of any axes says nothing.
        is_common = count > _COMMON * carried.total() or common.shape == (REST,)
        self._common = common if is_common else None
        is_known = is_common and common.shape != (REST,)
        which = "every arrow carries" if count == carried.total() else "every other arrow carries"
        self.note = f"{which} {shape_text(common)}" if is_known else ""

    def write_in_box(self, value: int) -> tuple[str, ...]:
        """The line for it in the value's own box, if it stands there: on each of many arrows it would be in the way."""
        type = self._graph.nodes[value].type
        return (shape_text(type),) if value in self._several and type != self._common else ()

    def write_on_arrow(self, value: int) -> str:
        """The text for an arrow from the value."""
        type = self._graph.nodes[value].type
        return "" if value in self._several or type == self._common else shape_text(type)


def _endpoint_names(graph: Graph) -> tuple[dict[int, str], list[str]]:
    """What inputs (by id) and outputs are called.

    Several outputs that have the types of the last inputs, in order, are the next values of those: one step of a
    recurrence, whose values carry the time.
    """
    names = {node.id: str(node.attribute("name")) for node in graph.inputs}
    count = len(graph.outputs)
    if count == 1:
        return names, ["output"]
    states = graph.inputs[-count:]
    if [node.type for node in states] != [graph.nodes[output].type for output in graph.outputs]:
        return names, [f"output {number}" for number in range(1, count + 1)]
    state_ids = {node.id for node in states}
    shown = {i: f"{name}(t − 1)" if i in state_ids else f"{name}(t)" for i, name in names.items()}
    return shown, [f"{names[node.id]}(t)" for node in states]


def shape_text(type: TensorType) -> str:
    """A shape as people write it.

    Example:
        >>> from dslc.program.tensor_type import Symbol, ceil_div
        >>> shape_text(TensorType((Symbol("batch"), 24, ceil_div(Symbol("height"), 2))))
        'batch × 24 × ⌈height/2⌉'
    """
    texts = [
        re.sub(r"ceil\((.*)\)", r"⌈\1⌉", str(dim)).replace(" / ", "/").replace(" * ", "·").replace("...", "…")
        for dim in type.shape
    ]
    return " × ".join(texts) or "scalar"


def formula_text(formula: str) -> str:
    """A formula in signs instead of their names.

    Example:
        >>> formula_text("beta_1 * x^2 + log(abs(x) + eps)")
        'β_1 · x² + log(abs(x) + ε)'
    """
    formula = re.sub(r"\bbeta(?=\b|_\d)", "β", formula)
    formula = re.sub(r"\beps\b", "ε", formula)
    formula = re.sub(r"(?<=[\w)])\^([23])\b(?![.^])", lambda match: "²³"[int(match[1]) - 2], formula)
    return formula.replace(" * ", " · ").replace("<-", "←")


def _group_box(group: Group, input_types: set[TensorType], shapes: _Shapes) -> Box:
    node = group.host
    lines = [_formula(group)] if _formula(group) else []
    if group.before:
        lines += [f"trains {_count_names(group.before)}"]
    if len(node.parameters) > _MOST_PARAMETERS:
        lines.append(f"trains {len(node.parameters)} tensors")
    else:
        lines += [_parameter_text(parameter) for parameter in node.parameters]
    if group.after:
        lines.append(f"then {', '.join(map(_guest_text, group.after))}")
    lines += [f"gives {shape}" for shape in shapes.write_in_box((node, *group.after)[-1].id)]
    # A value that a trained tensor starts from stands beside that tensor.
    starts = {f"initial_{parameter.name}" for parameter in node.parameters}
    cells = [Cell(name, _value_text(value)) for name, value in node.attributes if name not in starts]
    # The rule is worth its place only where the grammar calls the op something else.
    note = node.rule if node.rule not in ("", node.op) else ""
    tooltip = f"{node.rule or node.op}, tokens {node.tokens[0] + 1} to {node.tokens[1]}" if node.tokens[1] else node.op
    return Box(_kind(group, input_types), node.op, note=note, lines=tuple(lines), cells=tuple(cells), tooltip=tooltip)


def _count_names(nodes: Sequence[Node]) -> str:
    """`2 weight`, for the trained tensors of nodes that have only their formulas to show."""
    counts = Counter(parameter.name for node in nodes for parameter in node.parameters)
    return ", ".join(f"{count} {name}" + ("s" if count > 1 else "") for name, count in counts.items())


def _guest_text(node: Node) -> str:
    names = ", ".join(parameter.name for parameter in node.parameters)
    return f"{node.op} (trains {names})" if names else node.op


def _parameter_text(parameter: Parameter) -> str:
    start = "" if parameter.initial is None else f", from {_initial_text(parameter.initial)}"
    return f"trains {formula_text(parameter.name)}: {shape_text(parameter.shape)}{start}"


def _initial_text(initial: float | tuple[float, ...] | Draw) -> str:
    if not isinstance(initial, Draw):
        return ", ".join(f"{number:g}" for number in (initial if isinstance(initial, tuple) else (initial,)))
    match initial.spread:
        case Spread.UNIFORM:
            return f"U(-{initial.width:g}, {initial.width:g})"
        case Spread.NORMAL:
            return f"N(0, {initial.width:g}²)"
        case _:
            assert_never(initial.spread)


def _kind(group: Group, input_types: set[TensorType]) -> Kind:
    node = group.host
    if not node.inputs:
        return Kind.CONSTANT
    if any(member.parameters for member in (node, *group.before)):
        return Kind.TRAINED
    if node.type not in input_types:
        return Kind.SHAPE
    return Kind.UNARY if len(node.inputs) < 2 else Kind.BINARY


class _Names(dict[str, str]):
    """What a formula calls parameters and attributes: their own names."""

    def __missing__(self, name: str) -> str:
        return name


def _formula(group: Group) -> str:
    """What the op computes, where its name does not say it all."""
    node = group.host
    if node.spec.arity is None:
        return ""
    names = ("x",) if node.spec.arity == 1 else operand_names(node)
    operands = list(names)
    for guest in group.before:
        operand = node.inputs.index(guest.id)
        operands[operand] = guest.spec.formula.format(names[operand])
    attributes = _Names({name: _value_text(value) for name, value in node.attributes})
    text = Formatter().vformat(node.spec.formula, operands, attributes)
    return "" if text in (f"{node.op}({', '.join(names)})", "x") else formula_text(text)


def _value_text(value: AttributeValue) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if not isinstance(value, tuple):
        return str(value)
    # Integers are sizes of one thing, other numbers are several things.
    sizes = all(isinstance(number, int) for number in value)
    return " × ".join(map(str, value)) if sizes else ", ".join(f"{number:g}" for number in value)
