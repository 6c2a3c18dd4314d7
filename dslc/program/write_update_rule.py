"""An update rule as a formula in the notation of its paper."""

from __future__ import annotations

from enum import IntEnum

from dslc.program.graph import INPUT, Graph, Node


class Binding(IntEnum):
    """How tightly a text holds together: one that binds less than its place asks for gets brackets."""

    SUM = 1
    PRODUCT = 2
    POWER = 3
    CALL = 4


DECAY_NAMES = {"linear_decay": "ld", "cosine_decay": "cd"}


def write_update_rule(graph: Graph, longest: int) -> str | None:
    """w <- w - lr * update, with ld, cd and rd_n for the decays; None where it has more than `longest` letters.

    Example:
        >>> from dslc.program.graph import GraphBuilder
        >>> from dslc.program.op_tables.expression import ANY_SHAPE
        >>> builder = GraphBuilder()
        >>> g, m = builder.add_input("g", ANY_SHAPE), builder.add_input("m", ANY_SHAPE)
        >>> write_update_rule(builder.finish(builder.add("add", g, builder.add("exp", m))), 80)
        'w <- w - lr * (g + exp(m))'
    """
    head = "w <- w - lr * "
    texts: list[tuple[str, Binding]] = []
    for node in graph.nodes:
        texts.append(_write_node(node, [texts[i] for i in node.inputs]))
        # A value of the graph is part of the formula, so the formula is no shorter.
        if len(head) + len(texts[-1][0]) > longest:
            return None
    formula = head + _bracket(texts[graph.outputs[0]], Binding.PRODUCT)
    return formula if len(formula) <= longest else None


def format_number(value: float) -> str:
    """A number as people write it in code.

    Example:
        >>> [format_number(value) for value in (2.0, 0.5, 0.0001, 1e-05)]
        ['2', '0.5', '1e-4', '1e-5']
    """
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    if 0 < abs(value) < 1e-3 or abs(value) >= 1e6:
        digits, power = f"{value!r}".split("e") if "e" in f"{value!r}" else f"{value:e}".split("e")
        short = f"{float(digits):g}e{int(power)}"
        return short if float(short) == value else f"{value!r}"
    return f"{value!r}"


def _write_node(node: Node, operands: list[tuple[str, Binding]]) -> tuple[str, Binding]:
    attributes = dict(node.attributes)
    match node.op:
        case "input":
            return str(attributes["name"]), Binding.CALL
        case "number":
            return format_number(float(str(attributes["value"]))), Binding.CALL
        case "linear_decay" | "cosine_decay":
            return DECAY_NAMES[node.op], Binding.CALL
        case "restart_decay":
            return f"rd_{attributes['restarts']}", Binding.CALL
        case "gaussian_noise":
            return "noise", Binding.CALL
        case "annealed_noise":
            return "annealed_noise", Binding.CALL
        case "fill":
            return operands[0]
        case "clip" | "drop":
            (value,) = attributes.values()
            return f"{node.op}({operands[0][0]}, {format_number(float(str(value)))})", Binding.CALL
        case "square" | "cube":
            return f"{_bracket(operands[0], Binding.CALL)}^{2 if node.op == 'square' else 3}", Binding.POWER
        case "pow":
            one, other = (_bracket(operand, Binding.CALL) for operand in operands)
            return f"{one}^{other}", Binding.POWER
        case "negate":
            return f"-{_bracket(operands[0], Binding.POWER)}", Binding.SUM
        case "add" | "sub":
            one = operands[0][0]
            other = _bracket(operands[1], Binding.PRODUCT)
            return f"{one} {'+' if node.op == 'add' else '-'} {other}", Binding.SUM
        case "mul":
            one, other = _bracket(operands[0], Binding.PRODUCT), _bracket(operands[1], Binding.POWER)
            return f"{one} * {other}", Binding.PRODUCT
        case "guarded_div":
            one = _bracket(operands[0], Binding.PRODUCT)
            return f"{one} / ({operands[1][0]} + 1e-8)", Binding.PRODUCT
        case _:
            assert node.op != INPUT, "inputs are written by their names"
            return node.spec.formula.format(*(text for text, _ in operands)), Binding.CALL


def _bracket(operand: tuple[str, Binding], needed: Binding) -> str:
    text, binding = operand
    return text if binding >= needed else f"({text})"
