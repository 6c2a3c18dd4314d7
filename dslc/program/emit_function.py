"""Source of one function of its named inputs, whose ops all work element by element.

Each node of the tree has a line with a named value. What was written as one formula (an `//! op` of the grammar) stays
one formula, as far as it fits on a line.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType

import numpy as np

from dslc.program.emit import (
    INDENT,
    LINE_LENGTH,
    Namespace,
    PythonSource,
    SourceWriter,
    check_class_name,
    write_imports,
)
from dslc.program.graph import INPUT, Graph, Node
from dslc.program.op_spec import Call
from dslc.program.ops import SHIPPED_OPS

LONGEST_INLINE = 48
"""Letters of a part of a formula that is not given a line of its own."""
LONGEST_FORMULA = 48
"""Letters of a formula that is read at a glance; longer ones are better read as code."""
CLAMPS: Mapping[str, str] = MappingProxyType({"max": "torch.clamp({0}, min={1})", "min": "torch.clamp({0}, max={1})"})
"""Ops that PyTorch writes in another way where one of their values is a number."""
OPPOSITES: Mapping[str, str] = MappingProxyType({"add": "sub", "sub": "add"})
"""Ops that are written as one another where their second value is a negative number."""
_FIELD = re.compile(r"\{\d+\}")
_ATOM = re.compile(r"[\w.]+")
_HUGGED = re.compile(r"-?[\w.]+")
"""What `**` stands close to, as formatters have it."""


def emit_function(
    graph: Graph,
    function_name: str,
    sentence: str,
    details: Iterable[tuple[str, str]],
    definitions: Collection[str] = (),
) -> PythonSource:
    """A function that takes the graph's inputs as tensors, in their order, and returns its one output.

    Args:
        graph: of ops that work on each element, and `number`.
        function_name: its name.
        sentence: what it was made from.
        details: named lines of the docstring.
        definitions: names of rules that are formulas of the grammar; a value that one of them gives has its name.

    Raises:
        DslcError: DSLC502 if a function cannot have that name.
    """
    check_class_name(function_name)
    body = _Body(graph, function_name, definitions)
    body.write_nodes()
    code = "\n".join(text for text, _ in body.lines)
    writer = SourceWriter()
    write_imports(writer, uses_torch="torch." in code, uses_nn=re.search(r"\bnn\.", code) is not None)
    names = [str(node.attribute("name")) for node in graph.inputs]
    writer.write_call("def ", Call(function_name, tuple(f"{name}: Tensor" for name in names)), " -> Tensor:")
    with writer.indented():
        formula = write_formula(graph)
        inputs = " and ".join(", ".join(names).rsplit(", ", 1))
        writer.write_docstring(f"Return {formula or f'a function of {inputs}'}.", details)
        for name in names:
            if name not in body.used_inputs:
                writer.write(f"del {name}  # the value does not depend on it")
        for text, node in body.lines:
            writer.write(text, node)
    return writer.finish(function_name, sentence)


def write_formula(graph: Graph) -> str | None:
    """The output as one formula, in the notation of the ops' papers; None if it is longer than LONGEST_FORMULA."""
    texts: dict[int, str] = {}
    for node in graph.nodes:
        if node.op == INPUT:
            texts[node.id] = str(node.attribute("name"))
            continue
        if node.op == "number":
            texts[node.id] = str(node.attribute("value"))
            continue
        template = node.spec.formula.replace("^", "**")
        operands = [texts[i].replace("^", "**") for i in node.inputs]
        # Every text is a part of the whole, so one that is too long decides.
        text = _fill(template, operands, hugs=False).replace("**", "^")
        if len(text) > LONGEST_FORMULA:
            return None
        texts[node.id] = text
    return texts[graph.outputs[0]]


class _Body:
    """The lines of the function, each with the node whose value it computes."""

    def __init__(self, graph: Graph, function_name: str, definitions: Collection[str]) -> None:
        self.graph, self.definitions = graph, definitions
        self.lines: list[tuple[str, Node]] = []
        self.inputs = [str(node.attribute("name")) for node in graph.inputs]
        self.used_inputs: set[str] = set()
        self.names = Namespace([*self.inputs, function_name])
        self.texts: dict[int, str] = {}
        """Of values that have a name, and of those that stand inside a formula."""
        self.numbers = _fold_numbers(graph)
        self.users: dict[int, list[Node]] = {}
        for node in graph.nodes:
            for i in node.inputs:
                self.users.setdefault(i, []).append(node)

    def write_nodes(self) -> None:
        output = self.graph.nodes[self.graph.outputs[0]]
        needed = self.find_needed(output)
        for node in self.graph.nodes:
            if node.id not in needed or node.id in self.numbers:
                continue
            if node.op == INPUT:
                self.texts[node.id] = str(node.attribute("name"))
                self.used_inputs.add(self.texts[node.id])
            elif node.op == "identity" and self.texts.get(node.inputs[0], "").isidentifier():
                self.texts[node.id] = self.texts[node.inputs[0]]
            elif node is output:
                self.lines.append(("return " + self.compose(node, len("return ")), node))
                return
            elif self.is_inside(node):
                text = self.compose(node, LINE_LENGTH - LONGEST_INLINE - len(INDENT))
                self.texts[node.id] = text
                if len(text) > LONGEST_INLINE:
                    self.name_value(node)
            else:
                name = self.create_name(node)
                self.texts[node.id] = self.compose(node, len(name) + len(" = "))
                self.name_value(node, name)
        text = self.full_like(self.numbers[output.id]) if output.id in self.numbers else self.texts[output.id]
        self.lines.append((f"return {text}", output))

    def find_needed(self, output: Node) -> set[int]:
        """Ids of the nodes whose values are computed; what is only a part of a number is not."""
        needed: set[int] = set()
        stack = [output.id]
        while stack:
            node_id = stack.pop()
            if node_id not in needed:
                needed.add(node_id)
                if node_id not in self.numbers:
                    stack.extend(self.graph.nodes[node_id].inputs)
        return needed

    def is_inside(self, node: Node) -> bool:
        """True if a value is used once, by the formula that it was written in."""
        users = self.users[node.id]
        return (
            len(users) == 1
            and node.rule in self.definitions
            and (users[0].rule, users[0].tokens) == (node.rule, node.tokens)
        )

    def create_name(self, node: Node) -> str:
        inner = any((user.rule, user.tokens) == (node.rule, node.tokens) for user in self.users.get(node.id, ()))
        wanted = node.rule if node.rule in self.definitions and not inner else node.spec.value_name
        return self.names.create(f"{wanted}_value" if hasattr(builtins, wanted) else wanted)

    def name_value(self, node: Node, name: str | None = None) -> None:
        """Give a value that has a text so far a line and a name."""
        name = name or self.create_name(node)
        self.lines.append((f"{name} = {self.texts[node.id]}", node))
        self.texts[node.id] = name

    def compose(self, node: Node, before: int) -> str:
        """The expression of a node; its operands get lines of their own where it is too long after `before` letters."""
        text = self.fill_template(node)
        inside = [i for i in node.inputs if i in self.texts and not self.texts[i].isidentifier()]
        for i in sorted(inside, key=lambda i: -len(self.texts[i])):
            if len(INDENT) + before + len(text) > LINE_LENGTH:
                self.name_value(self.graph.nodes[i])
                text = self.fill_template(node)
        return text

    def fill_template(self, node: Node) -> str:
        template = node.spec.expression
        values = [i for i in node.inputs if i not in self.numbers]
        if len(values) == len(node.inputs):
            return _fill(template, [self.texts[i] for i in node.inputs])
        is_infix = not re.search(r"[^\W\d]", _FIELD.sub("", template))
        if values and node.op in CLAMPS:
            number = next(i for i in node.inputs if i in self.numbers)
            return _fill(CLAMPS[node.op], [self.texts[values[0]], _number_text(self.numbers[number])])
        if values and node.op in OPPOSITES and self.numbers.get(node.inputs[1], 0) < 0:
            template = SHIPPED_OPS[OPPOSITES[node.op]].expression
            return _fill(template, [self.texts[values[0]], _number_text(-self.numbers[node.inputs[1]])])
        operands: list[str] = []
        for place, i in enumerate(node.inputs):
            if i not in self.numbers:
                operands.append(self.texts[i])
            elif is_infix and (values or place > 0):
                operands.append(_number_text(self.numbers[i]))
            else:
                operands.append(self.full_like(self.numbers[i], values[0] if values else None))
        return _fill(template, operands)

    def full_like(self, number: float, value: int | None = None) -> str:
        """A tensor of one number, for what takes no plain number: shaped as a value, or as the first input."""
        if value is None:
            self.used_inputs.add(self.inputs[0])
            return f"torch.full_like({self.inputs[0]}, {_number_text(number)})"
        if not self.texts[value].isidentifier():
            self.name_value(self.graph.nodes[value])
        return f"torch.full_like({self.texts[value]}, {_number_text(number)})"


def _fold_numbers(graph: Graph) -> dict[int, float]:
    """Values of the nodes that are the same finite number for all inputs."""
    numbers: dict[int, float] = {}
    for node in graph.nodes:
        if node.op == "number":
            value = node.attribute("value")
            assert isinstance(value, int | float), "the value of a number is one"
            numbers[node.id] = value
        elif node.inputs and all(i in numbers for i in node.inputs):
            with np.errstate(all="ignore"):
                result = float(node.spec.meaning(*(np.float64(numbers[i]) for i in node.inputs)))
            if np.isfinite(result):
                numbers[node.id] = result
    return numbers


def _number_text(value: float) -> str:
    """A number as a person writes it: whole where it is."""
    is_whole = float(value).is_integer() and abs(value) < 1e15
    return str(int(value)) if is_whole else repr(float(value)).replace("e+", "e")


def _fill(template: str, operands: list[str], *, hugs: bool = True) -> str:
    """The template with its operands, in brackets where Python would read the whole differently without."""
    template = template.replace(" ** ", "**")
    placeholders = [f"_{i}" for i in range(len(operands))]
    written = []
    for place, operand in enumerate(operands):
        if not _ATOM.fullmatch(operand):
            bare, bracketed = (
                _shape(template.format(*placeholders[:place], text, *placeholders[place + 1 :]))
                for text in (operand, f"({operand})")
            )
            if bare is None or bare != bracketed:
                operand = f"({operand})"
        written.append(operand)
    if "**" in template and hugs and not all(_HUGGED.fullmatch(operand) for operand in written):
        template = template.replace("**", " ** ")
    return template.format(*written)


@lru_cache(maxsize=4096)
def _shape(text: str) -> str | None:
    """What Python reads in an expression; None for what is none, as formulas of some papers."""
    try:
        return ast.dump(ast.parse(text, mode="eval"))
    except SyntaxError:
        return None
