"""The lines of an update rule for lists of tensors: what changes the weights, in `torch._foreach_*`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dslc.program.emit import Namespace, SourceWriter
from dslc.program.graph import INPUT, Node
from dslc.program.op_spec import Call
from dslc.program.update_rule import DECAY_OPS, MEANS, RunningMean, UpdateRule
from dslc.program.write_update_rule import format_number

LOCAL_NAMES = ("group", "rows", "lr", "w", "g", "m", "v", "y", "t", "done", "total_steps", "x")
UNARY_CALLS = {
    "negate": "torch._foreach_neg",
    "abs": "torch._foreach_abs",
    "log": "torch._foreach_log",
    "exp": "torch._foreach_exp",
    "sign": "torch._foreach_sign",
    "sqrt": "torch._foreach_sqrt",
}
BINARY_CALLS = {
    "add": "torch._foreach_add",
    "sub": "torch._foreach_sub",
    "mul": "torch._foreach_mul",
    "pow": "torch._foreach_pow",
}


def write_foreach(writer: SourceWriter, rule: UpdateRule) -> None:
    """Write the body of `_update(self, group, rows, t)`: running means, values in order, and the step.

    Each value is a list of its own with its own name; the line that changes the weights takes in the last operation.
    """
    _BodyWriter(writer, rule).write()


class _BodyWriter:
    def __init__(self, writer: SourceWriter, rule: UpdateRule) -> None:
        self.writer = writer
        self.rule = rule
        self.names = Namespace([*LOCAL_NAMES, *(mean.state for mean in MEANS.values())])
        self.text: dict[int, str] = {}
        """How each value is written where it is used."""

    def write(self) -> None:
        writer, rule = self.writer, self.rule
        columns = ["w", "g"] if rule.uses_gradient else ["w"]
        columns += [mean.state for mean in rule.means.values()]
        targets = ", ".join(columns) if len(columns) > 1 else "(w,)"
        writer.write(f"{targets} = zip(*rows, strict=True)")
        writer.write('lr = float(group["lr"])')
        if rule.decays:
            writer.write('total_steps = group["total_steps"]')
            writer.write('done = min(group["steps_done"], total_steps)')
        for name, mean in rule.means.items():
            self._write_mean(name, mean)
        for node in rule.graph:
            if node.op != INPUT and node is not rule.output:
                self._write_node(node)
        self._write_last()

    def _write_mean(self, name: str, mean: RunningMean) -> None:
        node = self.rule.inputs[name]
        origin = next(iter(self.rule.users[node.id]), node)
        for call in mean.update:
            self.writer.write_call("", call, node=origin)
        if not mean.is_corrected or name in self.rule.late:
            self.text[node.id] = mean.state
        else:
            self.text[node.id] = name
            call = Call("torch._foreach_div", (mean.state, mean.correction))
            self.writer.write_call(f"{name} = ", call, node=origin)

    def _value(self, node: Node) -> str:
        if node.op == INPUT:
            return self.text.get(node.id, str(node.attribute("name")))
        return self.text[node.id]

    def _operands(self, node: Node) -> list[tuple[str, bool]]:
        """How the inputs of a node are written, and whether each is a number."""
        return [(self._value(self.rule.graph.nodes[i]), i in self.rule.numbers) for i in node.inputs]

    def _write_node(self, node: Node) -> None:
        if node.id in self.rule.numbers:
            self._write_number(node)
            return
        name = self._create_name(node)
        operands = self._operands(node)
        if node.op == "annealed_noise":
            deviation = self.names.create("deviation")
            self.writer.write(f'{deviation} = (1 + group["steps_done"]) ** -0.55', node)
            self.writer.write(f"{name} = [{deviation} * torch.randn_like(x) for x in g]", node)
        elif node.op == "guarded_div" and not operands[1][1]:
            divisor = self._write_divisor(node, operands[1][0])
            self.writer.write_call(f"{name} = ", _write_quotient(operands[0], divisor), node=node)
        elif node.op in ("gaussian_noise", "drop", "fill"):
            self.writer.write(f"{name} = [{_write_element(node, operands)} for x in {_write_list(operands)}]", node)
        else:
            self.writer.write_call(f"{name} = ", _write_call(node, operands), node=node)
        self.text[node.id] = name
        self._correct_root(node, name)

    def _correct_root(self, node: Node, name: str) -> None:
        if node.op != "sqrt":
            return
        source = self.rule.graph.nodes[node.inputs[0]]
        mean = MEANS.get(str(source.attribute("name"))) if source.op == INPUT else None
        if mean is not None and mean.is_corrected and str(source.attribute("name")) in self.rule.late:
            self.writer.write_call("", Call("torch._foreach_div_", (name, f"({mean.correction}) ** 0.5")), node=node)

    def _write_divisor(self, node: Node, text: str) -> str:
        """The divisor with the 1e-8 that is added to it: in place where it is a list of this node's own."""
        source = self.rule.graph.nodes[node.inputs[1]]
        if source.op != INPUT and len(self.rule.users[source.id]) == 1:
            self.writer.write_call("", Call("torch._foreach_add_", (text, "1e-8")), node=node)
            return text
        divisor = self.names.create("divisor")
        self.writer.write_call(f"{divisor} = ", Call("torch._foreach_add", (text, "1e-8")), node=node)
        return divisor

    def _create_name(self, node: Node) -> str:
        source = self.rule.graph.nodes[node.inputs[0]] if node.inputs else None
        if node.op == "sign" and source is not None and source.op == INPUT:
            return self.names.create(f"sign_{source.attribute('name')}")
        return self.names.create(node.spec.value_name)

    def _write_number(self, node: Node) -> None:
        constant = self.rule.numbers[node.id]
        if constant is not None:
            self.text[node.id] = _write_constant(constant)
            return
        operands = [text for text, _ in self._operands(node)]
        if node.op in DECAY_OPS:
            operands = ["done", "total_steps"]
        if node.op == "restart_decay":
            phase = self.names.create("phase")
            self.writer.write(f"{phase} = {node.attribute('restarts')} * done % total_steps / total_steps", node)
            expression = f"0.5 * (1 + math.cos(math.pi * {phase}))"
        else:
            expression = node.spec.expression.format(*operands)
        self.text[node.id] = self.names.create(node.spec.value_name)
        self.writer.write(f"{self.text[node.id]} = {expression}", node)

    def _write_last(self) -> None:
        """The line that changes the weights."""
        node = self.rule.output
        if node.id in self.rule.numbers:
            self._write_number(node)
            self.writer.write_call("", Call("torch._foreach_add_", ("w", f"-lr * {self.text[node.id]}")), node=node)
            return
        operands = self._operands(node)
        are_lists = not any(is_number for _, is_number in operands)
        if node.op == "mul" and are_lists:
            (one, _), (other, _) = operands
            call = Call("torch._foreach_addcmul_", ("w", one, other, f"value={self.rule.step_size}"))
        elif node.op == "mul":
            factor, values = sorted(operands, key=lambda operand: not operand[1])
            alpha = self.rule.step_size if factor[0] == "1" else f"{factor[0]} * {self.rule.step_size}"
            call = Call("torch._foreach_add_", ("w", values[0], f"alpha={alpha}"))
        elif node.op == "guarded_div" and are_lists:
            divisor = self._write_divisor(node, operands[1][0])
            call = Call("torch._foreach_addcdiv_", ("w", operands[0][0], divisor, f"value={self.rule.step_size}"))
        else:
            if node.op != INPUT:
                self._write_node(node)
            call = Call("torch._foreach_add_", ("w", self._value(node), f"alpha={self.rule.step_size}"))
        self.writer.write_call("", call, node=node)


def _write_constant(value: float) -> str:
    return format_number(value) if math.isfinite(value) else f'float("{value}")'


def _write_list(operands: Sequence[tuple[str, bool]]) -> str:
    return next(text for text, is_number in operands if not is_number)


def _write_element(node: Node, operands: Sequence[tuple[str, bool]]) -> str:
    """The expression for one tensor, called `x`, of the list that the node works on."""
    texts = [text if is_number else "x" for text, is_number in operands]
    return node.spec.expression.format(*texts, **dict(node.attributes))


def _write_quotient(numerator: tuple[str, bool], divisor: str) -> Call:
    text, is_number = numerator
    if not is_number:
        return Call("torch._foreach_div", (text, divisor))
    inverse = Call("torch._foreach_reciprocal", (divisor,))
    return inverse if text == "1" else Call("torch._foreach_mul", (str(inverse), text))


def _write_call(node: Node, operands: Sequence[tuple[str, bool]]) -> Call:
    """The call that computes a node for whole lists; at most one of two operands is a number."""
    (one, is_first_number), *rest = operands
    match node.op:
        case "square":
            return Call("torch._foreach_mul", (one, one))
        case "cube":
            return Call("torch._foreach_pow", (one, "3"))
        case "clip":
            bound = format_number(float(str(node.attribute("bound"))))
            return Call("torch._foreach_clamp_max", (f"torch._foreach_clamp_min({one}, -{bound})", bound))
        case op if op in UNARY_CALLS:
            return Call(UNARY_CALLS[op], (one,))
    ((other, _),) = rest
    match node.op:
        case "guarded_div":
            return Call("torch._foreach_div", (one, f"{other} + 1e-8"))
        case "sub" if is_first_number:
            return Call("torch._foreach_add", (f"torch._foreach_neg({other})", one))
        case "add" | "mul" if is_first_number:
            return Call(BINARY_CALLS[node.op], (other, one))
        case _:
            return Call(BINARY_CALLS[node.op], (one, other))
