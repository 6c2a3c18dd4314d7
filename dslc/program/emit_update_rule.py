"""An update rule as the source of a `torch.optim.Optimizer` that works on lists of tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dslc.program.emit import FORMAT, LINE_LENGTH, PythonSource, SourceWriter, check_class_name
from dslc.program.graph import INPUT, Graph
from dslc.program.op_spec import Call
from dslc.program.update_rule import DECAY_OPS, RunningMean, UpdateRule
from dslc.program.write_foreach import write_foreach
from dslc.program.write_update_rule import write_update_rule

LONGEST_FORMULA = 400
"""Of a formula in a docstring."""
DECAY_FORMULAS = {
    "linear_decay": "ld = 1 - t/T",
    "cosine_decay": "cd = (1 + cos(pi t/T)) / 2",
    "restart_decay": "rd_n = (1 + cos(pi (n t mod T) / T)) / 2",
}


def emit_update_rule(graph: Graph, class_name: str, sentence: str) -> PythonSource:
    """Source of an optimizer with constructor `(params, lr, total_steps=None)`.

    Only what the rule needs is kept and counted: its running means, the updates of a parameter where a mean is
    corrected, and the steps done where the rule is another at each step.

    Raises:
        DslcError: DSLC502 if a class cannot have that name.
    """
    check_class_name(class_name)
    return _ClassWriter(UpdateRule(graph), class_name).write(sentence)


class _ClassWriter:
    def __init__(self, rule: UpdateRule, class_name: str) -> None:
        self.rule = rule
        self.class_name = class_name
        self.writer = SourceWriter()

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
        if any(node.op in ("cosine_decay", "restart_decay") for node in self.rule.graph):
            write("import math")
        write("from collections import defaultdict")
        write("from collections.abc import Callable")
        write("from typing import Any")
        write()
        write("import torch")
        write("from torch import Tensor")
        if any(node.op == "drop" for node in self.rule.graph):
            write("from torch.nn import functional")
        write("from torch.optim.optimizer import Optimizer, ParamsT")
        write()
        write()

    def _write_docstring(self, sentence: str) -> None:
        formula = write_update_rule(self.rule.graph, LONGEST_FORMULA)
        is_short = formula is not None and len(f'    """The update rule {formula}.') <= LINE_LENGTH
        count = f"{sum(node.op not in (INPUT, 'number', 'fill') for node in self.rule.graph)} operations"
        summary = f"The update rule {formula}." if is_short else f"An update rule of {count}."
        details = [("Sentence", sentence)]
        if formula is not None and not is_short:
            details.insert(0, ("Formula", formula))
        if self.rule.means:
            details.append(("State", _describe_means(self.rule.means, uses_count=self.rule.counts_updates)))
        if self.rule.counts_steps:
            details.append(("Schedule", _describe_schedule(self.rule.graph)))
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
            if self.rule.decays:
                writer.write("if total_steps is None or total_steps < 1:")
                with writer.indented():
                    writer.write('message = "total_steps is to be a number from 1, as the rule decays"')
                    writer.write('raise ValueError(f"{message}; it is {total_steps}")')
                defaults.append('"total_steps": total_steps')
            else:
                writer.write("del total_steps  # nothing in this rule depends on it")
            if self.rule.counts_steps:
                defaults.append('"steps_done": 0')
            if self.rule.decays:
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
            if self.rule.counts_steps:
                # Also a group that was added later is as far in the schedule as the others.
                writer.write('steps_done = max(group["steps_done"] for group in self.param_groups)')
            writer.write("for group in self.param_groups:")
            with writer.indented():
                if self.rule.counts_steps:
                    writer.write('group["steps_done"] = steps_done')
                if self.rule.counts_updates:
                    writer.write("for (_, _, t), rows in self._collect(group).items():")
                    with writer.indented():
                        writer.write("self._update(group, rows, t)")
                else:
                    writer.write("for rows in self._collect(group).values():")
                    with writer.indented():
                        writer.write("self._update(group, rows)")
                if self.rule.counts_steps:
                    writer.write('group["steps_done"] = steps_done + 1')
            writer.write("return loss")

    def _write_collect(self) -> None:
        writer = self.writer
        writer.write("def _collect(self, group: dict[str, Any]) -> dict[Any, list[tuple[Tensor, ...]]]:")
        with writer.indented():
            kinds = "device, dtype and number of updates" if self.rule.counts_updates else "device and dtype"
            parts = "Parameters, gradients and state" if self.rule.means else "Parameters and gradients"
            if not self.rule.uses_gradient:
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
        if self.rule.means:
            writer.write("state = self.state[w]")
            writer.write("if not state:")
            with writer.indented():
                if self.rule.counts_updates:
                    writer.write('state["step"] = 0')
                for mean in self.rule.means.values():
                    writer.write(f'state["{mean.state}"] = torch.zeros_like(w)')
        if self.rule.counts_updates:
            writer.write('state["step"] += 1')
            key += ', state["step"]'
        columns = ["w", "g"] if self.rule.uses_gradient else ["w"]
        columns += [f'state["{mean.state}"]' for mean in self.rule.means.values()]
        row = _write_tuple(columns)
        one_line = f"rows[{key}].append({row})"
        if len(f"{12 * ' '}{one_line}") <= LINE_LENGTH:
            writer.write(one_line)
        else:
            writer.write(f"row = {row}")
            writer.write(f"rows[{key}].append(row)")

    def _write_update(self) -> None:
        arguments: tuple[str, ...] = ("self", "group: dict[str, Any]", "rows: list[tuple[Tensor, ...]]")
        if self.rule.counts_updates:
            arguments += ("t: int",)
        self.writer.write_call("def ", Call("_update", arguments), " -> None:")
        with self.writer.indented():
            write_foreach(self.writer, self.rule)


def _write_tuple(items: Sequence[str]) -> str:
    return f"({', '.join(items)}{',' * (len(items) == 1)})"


def _describe_means(means: Mapping[str, RunningMean], *, uses_count: bool) -> str:
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
