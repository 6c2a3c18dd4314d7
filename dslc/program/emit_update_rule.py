"""An update rule as the source of a `torch.optim.Optimizer` that works on lists of tensors (`torch._foreach_*`).

How a person would write it, and why it is as fast as PyTorch's own: only the running means that the rule uses are kept;
the correction 1 - decay^t of a mean is left out where only its sign counts, goes into the step size where the mean is a
factor of the whole update, and is taken after the root of a mean; the last operation adds to the weights in place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dslc.program.emit import FORMAT, LINE_LENGTH, Namespace, PythonSource, SourceWriter, check_class_name
from dslc.program.graph import INPUT, Graph, Node
from dslc.program.op_spec import Call
from dslc.program.op_tables.optimizer import DECAYS
from dslc.program.write_update_rule import format_number, write_update_rule

LONGEST_DOCSTRING_FORMULA = 400
DECAY_OPS = frozenset(spec.name for spec in DECAYS)
NO_CORRECTION_NEEDED = ("sign",)
LOCAL_NAMES = (
    "group",
    "rows",
    "lr",
    "w",
    "g",
    "m",
    "v",
    "y",
    "t",
    "done",
    "steps_done",
    "total_steps",
    "x",
    "functional",
)


@dataclass(frozen=True, slots=True)
class RunningMean:
    """State of an input of the graph."""

    state: str
    """Name under which the optimizer keeps it."""
    averaged: str
    decay: str
    is_corrected: bool
    """Whether the input is the state divided by 1 - decay^t."""
    update: tuple[Call, ...]

    @property
    def correction(self) -> str:
        """What the state is divided by, in Python."""
        return f"1 - {self.decay}**t"


def _mean_of_squares(state: str, decay: str) -> tuple[Call, ...]:
    return (
        Call("torch._foreach_mul_", (state, decay)),
        Call("torch._foreach_addcmul_", (state, "g", "g", f"value=1 - {decay}")),
    )


MEANS = {
    "m": RunningMean("mean_g", "g", "0.9", True, (Call("torch._foreach_lerp_", ("mean_g", "g", "1 - 0.9")),)),
    "v": RunningMean("mean_g2", "g^2", "0.999", True, _mean_of_squares("mean_g2", "0.999")),
    "y": RunningMean(
        "mean_g3",
        "g^3",
        "0.999",
        True,
        (Call("torch._foreach_lerp_", ("mean_g3", "torch._foreach_pow(g, 3)", "1 - 0.999")),),
    ),
    "r": RunningMean("fast_mean_g2", "g^2", "0.99", False, _mean_of_squares("fast_mean_g2", "0.99")),
}
DECAY_FORMULAS = {
    "linear_decay": "ld = 1 - t/T",
    "cosine_decay": "cd = (1 + cos(pi t/T)) / 2",
    "restart_decay": "rd_n = (1 + cos(pi (n t mod T) / T)) / 2",
}


def emit_update_rule(graph: Graph, class_name: str, sentence: str) -> PythonSource:
    """Source of an optimizer with constructor `(params, lr, total_steps=None)`.

    Raises:
        DslcError: DSLC502 if a class cannot have that name.
    """
    check_class_name(class_name)
    return _RuleWriter(graph, class_name).write(sentence)


class _RuleWriter:
    def __init__(self, graph: Graph, class_name: str) -> None:
        self.graph = graph
        self.class_name = class_name
        self.writer = SourceWriter()
        self.names = Namespace([*LOCAL_NAMES, *(mean.state for mean in MEANS.values())])
        self.inputs = {str(node.attribute("name")): node for node in graph.inputs}
        self.means = {name: mean for name, mean in MEANS.items() if name in self.inputs}
        self.users: list[list[Node]] = [[] for _ in graph.nodes]
        for node in graph:
            for i in node.inputs:
                self.users[i].append(node)
        self.output = graph.nodes[graph.outputs[0]]
        self.numbers = _find_numbers(graph)
        self.text: dict[int, str] = {}
        """How each value is written where it is used."""
        self.step_size = "-lr"
        self.late: set[str] = set()
        """Means whose correction is taken in the step size or after the root."""
        self.uses_count = False
        """Whether the number of updates t of a parameter is needed."""
        for name, mean in self.means.items():
            if mean.is_corrected:
                self._place_correction(name, mean)

    # --- analysis -----------------------------------------------------------------------------------------------------

    def _place_correction(self, name: str, mean: RunningMean) -> None:
        node = self.inputs[name]
        users = [user for user in self.users[node.id] if user.op not in NO_CORRECTION_NEEDED]
        is_output = node is self.output
        if not users and not is_output:
            self.late.add(name)
            return
        self.uses_count = True
        if len(users) + is_output > 1:
            return
        if is_output or self._is_factor_of_output(node, users[0]):
            if self.step_size == "-lr":
                self.late.add(name)
                self.step_size = f"-lr / ({mean.correction})"
        elif users[0].op == "sqrt":
            self.late.add(name)

    def _is_factor_of_output(self, node: Node, user: Node) -> bool:
        if user is not self.output:
            return False
        return user.op == "mul" or (user.op == "guarded_div" and user.inputs[0] == node.id)

    @property
    def _uses_gradient(self) -> bool:
        return bool(self.means) or "g" in self.inputs

    @property
    def _counts_steps(self) -> bool:
        return "t" in self.inputs

    @property
    def _decays(self) -> bool:
        return "T" in self.inputs

    # --- module and class ---------------------------------------------------------------------------------------------

    def write(self, sentence: str) -> PythonSource:
        self._write_imports()
        self.writer.write(f"class {self.class_name}(Optimizer):")
        with self.writer.indented():
            self._write_docstring(sentence)
            self.writer.write()
            self._write_constructor()
            self.writer.write()
            self._write_step()
            self.writer.write()
            self._write_collect()
            self.writer.write()
            self._write_update()
        return self.writer.finish(self.class_name, sentence)

    def _write_imports(self) -> None:
        write = self.writer.write
        write(f"# {FORMAT}")
        if any(node.op in ("cosine_decay", "restart_decay") for node in self.graph):
            write("import math")
        write("from collections import defaultdict")
        write("from collections.abc import Callable")
        write("from typing import Any")
        write()
        write("import torch")
        write("from torch import Tensor")
        if any(node.op == "drop" for node in self.graph):
            write("from torch.nn import functional")
        write("from torch.optim.optimizer import Optimizer, ParamsT")
        write()
        write()

    def _write_docstring(self, sentence: str) -> None:
        formula = write_update_rule(self.graph, LONGEST_DOCSTRING_FORMULA)
        is_short = formula is not None and len(f'    """The update rule {formula}.') <= LINE_LENGTH
        count = f"{sum(node.op not in (INPUT, 'number', 'fill') for node in self.graph)} operations"
        summary = f"The update rule {formula}." if is_short else f"An update rule of {count}."
        details = [("Sentence", sentence)]
        if formula is not None and not is_short:
            details.insert(0, ("Formula", formula))
        if self.means:
            details.append(("State", _describe_means(self.means, uses_count=self.uses_count)))
        if self._counts_steps:
            details.append(("Schedule", _describe_schedule(self.graph)))
        details.append(("Not for", "sparse gradients, CUDA graphs, derivatives through a step."))
        details.append(("Source", "Bello et al. 2017, arXiv 1709.07417."))
        self.writer.write_docstring(summary, details)

    def _write_constructor(self) -> None:
        writer = self.writer
        arguments = ("self", "params: ParamsT", "lr: float", "total_steps: int | None = None")
        writer.write_call("def ", Call("__init__", arguments), " -> None:")
        with writer.indented():
            writer.write("if not lr >= 0:")
            with writer.indented():
                writer.write('raise ValueError(f"lr is {lr}, not a number from 0")')
            defaults = ['"lr": lr']
            if self._decays:
                writer.write("if total_steps is None or total_steps < 1:")
                with writer.indented():
                    writer.write('message = "total_steps is to be a number from 1, as the rule decays"')
                    writer.write('raise ValueError(f"{message}; it is {total_steps}")')
                defaults.append('"total_steps": total_steps')
            else:
                writer.write("del total_steps  # nothing in this rule depends on it")
            if self._counts_steps:
                defaults.append('"steps_done": 0')
            if self._decays:
                writer.write(f"defaults = {{{', '.join(defaults)}}}")
                writer.write("super().__init__(params, defaults)")
            else:
                writer.write(f"super().__init__(params, {{{', '.join(defaults)}}})")

    def _write_step(self) -> None:
        writer = self.writer
        writer.write("@torch.no_grad()")
        writer.write("def step(  # type: ignore[override]")
        with writer.indented():
            writer.write("self,")
            writer.write("closure: Callable[[], float] | None = None,")
        writer.write(") -> float | None:")
        with writer.indented():
            writer.write('"""Update every parameter that has a gradient; `closure` gives the loss."""')
            writer.write("loss = None")
            writer.write("if closure is not None:")
            with writer.indented():
                writer.write("with torch.enable_grad():")
                with writer.indented():
                    writer.write("loss = closure()")
            if self._counts_steps:
                # Also a group that was added later is as far in the schedule as the others.
                writer.write('steps_done = max(group["steps_done"] for group in self.param_groups)')
            writer.write("for group in self.param_groups:")
            with writer.indented():
                if self._counts_steps:
                    writer.write('group["steps_done"] = steps_done')
                if self.uses_count:
                    writer.write("for (_, _, t), rows in self._collect(group).items():")
                    with writer.indented():
                        writer.write("self._update(group, rows, t)")
                else:
                    writer.write("for rows in self._collect(group).values():")
                    with writer.indented():
                        writer.write("self._update(group, rows)")
                if self._counts_steps:
                    writer.write('group["steps_done"] = steps_done + 1')
            writer.write("return loss")

    def _write_collect(self) -> None:
        writer = self.writer
        writer.write("def _collect(self, group: dict[str, Any]) -> dict[Any, list[tuple[Tensor, ...]]]:")
        with writer.indented():
            kinds = "device, dtype and number of updates" if self.uses_count else "device and dtype"
            parts = "Parameters, gradients and state" if self.means else "Parameters and gradients"
            if not self._uses_gradient:
                parts = "Parameters that have a gradient"
            writer.write(f'"""{parts}, by {kinds}."""')
            writer.write("rows: dict[Any, list[tuple[Tensor, ...]]] = defaultdict(list)")
            writer.write('for w in group["params"]:')
            with writer.indented():
                self._write_row()
            writer.write("return rows")

    def _write_row(self) -> None:
        writer = self.writer
        writer.write("g = w.grad")
        writer.write("if g is None:")
        with writer.indented():
            writer.write("continue")
        writer.write("if g.layout is not torch.strided:")
        with writer.indented():
            writer.write('message = f"sparse gradient of a parameter of shape {tuple(w.shape)}"')
            writer.write('raise RuntimeError(f"{type(self).__name__} takes no {message}")')
        key = "w.device, w.dtype"
        if self.means:
            writer.write("state = self.state[w]")
            writer.write("if not state:")
            with writer.indented():
                if self.uses_count:
                    writer.write('state["step"] = 0')
                for mean in self.means.values():
                    writer.write(f'state["{mean.state}"] = torch.zeros_like(w)')
        if self.uses_count:
            writer.write('state["step"] += 1')
            key += ', state["step"]'
        columns = ["w", "g"] if self._uses_gradient else ["w"]
        columns += [f'state["{mean.state}"]' for mean in self.means.values()]
        row = _write_tuple(columns)
        one_line = f"rows[{key}].append({row})"
        if len(f"{12 * ' '}{one_line}") <= LINE_LENGTH:
            writer.write(one_line)
        else:
            writer.write(f"row = {row}")
            writer.write(f"rows[{key}].append(row)")

    # --- the rule -----------------------------------------------------------------------------------------------------

    def _write_update(self) -> None:
        writer = self.writer
        arguments: tuple[str, ...] = ("self", "group: dict[str, Any]", "rows: list[tuple[Tensor, ...]]")
        if self.uses_count:
            arguments += ("t: int",)
        writer.write_call("def ", Call("_update", arguments), " -> None:")
        with writer.indented():
            columns = ["w", "g"] if self._uses_gradient else ["w"]
            columns += [mean.state for mean in self.means.values()]
            targets = ", ".join(columns) if len(columns) > 1 else "(w,)"
            writer.write(f"{targets} = zip(*rows, strict=True)")
            writer.write('lr = float(group["lr"])')
            if self._decays:
                writer.write('total_steps = group["total_steps"]')
                writer.write('done = min(group["steps_done"], total_steps)')
            for name, mean in self.means.items():
                self._write_mean(name, mean)
            for node in self.graph:
                if node.op != INPUT and node is not self.output:
                    self._write_node(node)
            self._write_last()

    def _write_mean(self, name: str, mean: RunningMean) -> None:
        node = self.inputs[name]
        origin = next(iter(self.users[node.id]), node)
        for call in mean.update:
            self.writer.write_call("", call, node=origin)
        if not mean.is_corrected or name in self.late:
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
        return [(self._value(self.graph.nodes[i]), i in self.numbers) for i in node.inputs]

    def _write_node(self, node: Node) -> None:
        if node.id in self.numbers:
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
        source = self.graph.nodes[node.inputs[0]]
        mean = MEANS.get(str(source.attribute("name"))) if source.op == INPUT else None
        if mean is not None and mean.is_corrected and str(source.attribute("name")) in self.late:
            self.writer.write_call("", Call("torch._foreach_div_", (name, f"({mean.correction}) ** 0.5")), node=node)

    def _write_divisor(self, node: Node, text: str) -> str:
        """The divisor with the 1e-8 that is added to it: in place where it is a list of this node's own."""
        source = self.graph.nodes[node.inputs[1]]
        if source.op != INPUT and len(self.users[source.id]) == 1:
            self.writer.write_call("", Call("torch._foreach_add_", (text, "1e-8")), node=node)
            return text
        divisor = self.names.create("divisor")
        self.writer.write_call(f"{divisor} = ", Call("torch._foreach_add", (text, "1e-8")), node=node)
        return divisor

    def _create_name(self, node: Node) -> str:
        source = self.graph.nodes[node.inputs[0]] if node.inputs else None
        if node.op == "sign" and source is not None and source.op == INPUT:
            return self.names.create(f"sign_{source.attribute('name')}")
        return self.names.create(node.spec.value_name)

    def _write_number(self, node: Node) -> None:
        constant = self.numbers[node.id]
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
        node = self.output
        if node.id in self.numbers:
            self._write_number(node)
            self.writer.write_call("", Call("torch._foreach_add_", ("w", f"-lr * {self.text[node.id]}")), node=node)
            return
        operands = self._operands(node)
        are_lists = not any(is_number for _, is_number in operands)
        if node.op == "mul" and are_lists:
            (one, _), (other, _) = operands
            call = Call("torch._foreach_addcmul_", ("w", one, other, f"value={self.step_size}"))
        elif node.op == "mul":
            factor, values = sorted(operands, key=lambda operand: not operand[1])
            alpha = self.step_size if factor[0] == "1" else f"{factor[0]} * {self.step_size}"
            call = Call("torch._foreach_add_", ("w", values[0], f"alpha={alpha}"))
        elif node.op == "guarded_div" and are_lists:
            divisor = self._write_divisor(node, operands[1][0])
            call = Call("torch._foreach_addcdiv_", ("w", operands[0][0], divisor, f"value={self.step_size}"))
        else:
            if node.op != INPUT:
                self._write_node(node)
            call = Call("torch._foreach_add_", ("w", self._value(node), f"alpha={self.step_size}"))
        self.writer.write_call("", call, node=node)


def _find_numbers(graph: Graph) -> dict[int, float | None]:
    """Nodes that are one number for all weights: their value if it is always the same, None if it is another each step.

    What a function of decays other than + - * is applied to is filled into lists before, so that no Python number can
    overflow or be divided by zero.
    """
    found: dict[int, float | None] = {}
    for node in graph:
        if node.op == "number":
            found[node.id] = float(str(node.attribute("value")))
        elif node.op in DECAY_OPS:
            found[node.id] = None
        elif node.op not in (INPUT, "fill") and node.inputs and all(i in found for i in node.inputs):
            values = [found[i] for i in node.inputs]
            with np.errstate(all="ignore"):
                is_constant = None not in values
                found[node.id] = float(node.spec.meaning(*values, **dict(node.attributes))) if is_constant else None
    return found


def _write_tuple(items: Sequence[str]) -> str:
    return f"({', '.join(items)}{',' * (len(items) == 1)})"


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


def _describe_means(means: dict[str, RunningMean], *, uses_count: bool) -> str:
    parts = []
    for name, mean in means.items():
        text = f"{mean.state}, a running mean of {mean.averaged} with decay {mean.decay}"
        if not mean.is_corrected:
            parts.append(f"{text}, is {name}.")
        elif uses_count:
            parts.append(f"{text}, divided by 1 - {mean.decay}^t is {name}.")
        else:
            parts.append(f"{text}, has the sign of {name}.")
    return " ".join([*parts, *(("t counts the updates of a parameter.",) if uses_count else ())])


def _describe_schedule(graph: Graph) -> str:
    ops = {node.op for node in graph}
    parts = [text for op, text in DECAY_FORMULAS.items() if op in ops]
    if "annealed_noise" in ops:
        parts.append("annealed_noise has deviation 1 / (1 + t)^0.55")
    total = ", T = total_steps" if len(ops & DECAY_OPS) else ""
    return f"{'; '.join(parts)}; t = steps done before{total}."
