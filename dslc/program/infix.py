"""Expressions as text: infix with as few brackets as keep the meaning, cut into named values where it gets long."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from dslc.program.constants import FITTED
from dslc.program.emit import Namespace
from dslc.program.graph import INPUT, Graph, Node

LONGEST_EXPRESSION = 56
"""Most letters of one expression in source; what is longer is computed in steps, each with a name."""

BINDING: Mapping[str, int] = {"add": 1, "sub": 1, "mul": 2, "divide": 2, "negate": 3}
"""How strongly an operator binds, as in Python; what is no operator here is a call, or binds as POWER in a formula."""
POWER = 4
ATOM = 5


class Notation(Enum):
    """What the text is for."""

    CODE = "code"
    """Python, computed in the order of the graph: floating-point sums are not associative, so no bracket is dropped."""
    FORMULA = "formula"
    """Mathematics: a + (b + c) is a + b + c."""


@dataclass(frozen=True, slots=True)
class Written:
    """An expression as text."""

    text: str
    binding: int = ATOM
    """Of its outermost operator."""


def write_infix(graph: Graph, constants: Mapping[int, str]) -> str:
    """The value of a graph as one formula.

    Args:
        graph: with one output, of ops on numbers.
        constants: what to call each fitted constant, by node id.
    """
    values: list[Written] = []
    for node in graph.nodes:
        leaf = _write_leaf(node, constants)
        operands = [values[i] for i in node.inputs]
        values.append(leaf or _apply(node, operands, Notation.FORMULA))
    return values[graph.outputs[0]].text


def write_statements(graph: Graph, constants: Mapping[int, str]) -> Iterator[tuple[str, Node]]:
    """Lines of Python that compute a graph on tensors, the last of them a return; each with the node that it computes.

    Numbers and constants stand in the text as they are, since PyTorch takes them beside a tensor. Where an op has
    nothing else, or the whole graph is one, the first of them is spread over the shape of the first input.

    Args:
        graph: with one output and at least one input, of ops on numbers; only inputs are used more than once.
        constants: what to call each fitted constant, by node id.
    """
    inputs = [str(node.attribute("name")) for node in graph.inputs]
    names = Namespace([*inputs, *constants.values()])
    values: list[Written] = []
    for node in graph.nodes:
        leaf = _write_leaf(node, constants)
        if leaf is not None:
            values.append(leaf)
            continue
        sources = [graph.nodes[i] for i in node.inputs]
        operands = [values[i] for i in node.inputs]
        if all(_is_constant(source) for source in sources):
            operands[0] = _spread(sources[0], operands[0], inputs[0])
        written = _apply(node, operands, Notation.CODE)
        while len(written.text) > LONGEST_EXPRESSION:
            place = max(range(len(operands)), key=lambda i: len(operands[i].text))
            if not sources[place].inputs or operands[place].text.isidentifier():
                break  # long names alone: nothing is left to be named
            name = names.create(sources[place].spec.value_name)
            yield f"{name} = {operands[place].text}", sources[place]
            operands[place] = Written(name)
            written = _apply(node, operands, Notation.CODE)
        values.append(written)
    root = graph.nodes[graph.outputs[0]]
    value = values[root.id]
    yield f"return {(_spread(root, value, inputs[0]) if _is_constant(root) else value).text}", root


def _write_leaf(node: Node, constants: Mapping[int, str]) -> Written | None:
    match node.op:
        case _ if node.op == INPUT:
            return Written(str(node.attribute("name")))
        case _ if node.op == FITTED:
            return Written(constants[node.id])
        case "number":
            text = repr(node.attribute("value"))
            return Written(text, BINDING["negate"] if text.startswith("-") else ATOM)
    return None


def _is_constant(node: Node) -> bool:
    return node.op != INPUT and not node.inputs


def _spread(node: Node, value: Written, like: str) -> Written:
    """A constant in the shape of an input; a fitted one by an op that has a gradient."""
    if node.op == FITTED:
        return Written(f"{value.text} * torch.ones_like({like})", BINDING["mul"])
    return Written(f"torch.full_like({like}, {value.text})")


def _apply(node: Node, operands: list[Written], notation: Notation) -> Written:
    template = node.spec.expression if notation is Notation.CODE else node.spec.formula
    binding = BINDING.get(node.op)
    if binding is None:
        is_call = template.endswith(")") and template[0].isalpha()
        texts = [o.text if is_call or o.binding == ATOM else f"({o.text})" for o in operands]
        return Written(template.format(*texts), ATOM if is_call else POWER)
    is_associative = notation is Notation.FORMULA and node.op in ("add", "mul")
    texts = []
    for place, operand in enumerate(operands):
        is_weaker = operand.binding < binding
        groups_to_the_right = place == 1 and operand.binding == binding and not is_associative
        texts.append(f"({operand.text})" if is_weaker or groups_to_the_right else operand.text)
    return Written(template.format(*texts), binding)
