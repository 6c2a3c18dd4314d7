"""What all targets share when they write source: names, calls, docstrings, and the map from lines back to the sentence.

Emitted text is as `ruff format` leaves it, at any line length from 88 up: what fits on a line of 88 stays on one line,
any other call has one argument a line.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from textwrap import wrap
from typing import TYPE_CHECKING, overload

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.program.graph import Graph, Node
from dslc.program.op_spec import Call
from dslc.program.tensor_type import TensorType
from dslc.value import value

if TYPE_CHECKING:
    from dslc.program.template import FilledTemplate

FORMAT = "dslc.python/1"
LINE_LENGTH = 88
"""Longest line of code, which is ruff's default."""
INDENT = "    "
QUOTES = '"""'
RESERVED = frozenset(
    ("torch", "nn", "functional", "math", "Tensor", "Optimizer", "ParamsT", "Callable", "Any", "defaultdict")
) | frozenset(("self", "super", "float", "int", "min", "max", "zip"))
"""Names that emitted text uses for something else."""
UNUSABLE = RESERVED | frozenset(keyword.kwlist)
"""Names that no value can have."""


@value
class LineOrigin:
    """Where one line of emitted text comes from."""

    line: int
    """From 1."""
    node: int
    """Id of the graph's node."""
    op: str
    rule: str
    """Name of the tree's node: an alias or a rule of the grammar."""
    tokens: tuple[int, int]
    """First token of that node in the sentence, and the one after its last, from 0."""


class LineMap(Sequence[LineOrigin]):
    """Origins of lines, made when they are asked for: most texts of a search fail nowhere."""

    def __init__(self, blocks: Sequence[tuple[int, Sequence[Node | None]]]) -> None:
        self._blocks = blocks
        """A line, and the nodes that it and the next ones compute."""

    @cached_property
    def _origins(self) -> tuple[LineOrigin, ...]:
        rows = [(line, node) for first, nodes in self._blocks for line, node in enumerate(nodes, first)]
        return tuple([LineOrigin(line, node.id, node.op, node.rule, node.tokens) for line, node in rows if node])

    def __len__(self) -> int:
        return len(self._origins)

    @overload
    def __getitem__(self, index: int) -> LineOrigin: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[LineOrigin]: ...
    def __getitem__(self, index: int | slice) -> LineOrigin | Sequence[LineOrigin]:
        return self._origins[index]

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, LineMap | tuple) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._origins)


@dataclass(frozen=True)
class PythonSource:
    """A module of emitted Python that defines one class; `str()` is its text."""

    text: str
    class_name: str
    line_map: Sequence[LineOrigin] = ()
    """Origins of the lines that compute something, by line."""
    sentence: str = ""
    """The rendered sentence that it was made from."""
    filled: FilledTemplate | None = field(default=None, compare=False, repr=False)
    """The text in parts, if it was written so; it is compiled in less time."""

    def __str__(self) -> str:
        return self.text

    @cached_property
    def file_name(self) -> str:
        """Name under which the text is loaded; tracebacks show it. The same for equal texts."""
        return f"<dslc {self.class_name} {blake2b(self.text.encode(), digest_size=6).hexdigest()}>"

    def origin(self, line: int) -> LineOrigin | None:
        """Where a line comes from; None for lines that hold no part of the program."""
        return self._origins.get(line)

    @cached_property
    def _origins(self) -> dict[int, LineOrigin]:
        return {origin.line: origin for origin in self.line_map}


class Namespace:
    """Names of one scope, each given once.

    Example:
        >>> names = Namespace(["x"])
        >>> names.create("sine"), names.create("sine"), names.create("x"), names.create("lambda")
        ('sine', 'sine_2', 'x_2', 'lambda_2')
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._last: dict[str, int] = {}

    def create(self, wanted: str) -> str:
        """`wanted`, or if that is taken `wanted_2`, `wanted_3`, …"""
        number = self._last.get(wanted, 1)
        name = wanted if number == 1 else f"{wanted}_{number}"
        while name in self._taken or name in UNUSABLE:
            number += 1
            name = f"{wanted}_{number}"
        self._taken.add(name)
        self._last[wanted] = number
        return name


class SourceWriter:
    """Lines of a module, and which node each of them computes."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._num_lines = 0
        self._origins: list[tuple[int, Sequence[Node]]] = []  # number of a line, and the node that it computes
        self._indent = ""

    @property
    def lines(self) -> tuple[str, ...]:
        """What is written so far."""
        return tuple(self._lines)

    def indented(self) -> SourceWriter:
        """For `with`: lines written inside stand one level deeper."""
        return self

    def __enter__(self) -> None:
        self._indent += INDENT

    def __exit__(self, *error: object) -> None:
        self._indent = self._indent[: -len(INDENT)]

    def write(self, text: str = "", node: Node | None = None) -> None:
        """One line."""
        self._lines.append(f"{self._indent}{text}".rstrip())
        self._num_lines += 1
        if node is not None:
            self._origins.append((self._num_lines, (node,)))

    def write_definition(self, text: str) -> None:
        """A definition of several lines for the top of a module, with the two empty lines that follow one."""
        for line in text.splitlines():
            self.write(line)
        self.write()
        self.write()

    def write_commented(self, rows: Sequence[tuple[str, Node, str]]) -> None:
        """Statements with a comment each: all beside their lines if all fit, else all above them."""
        longest = LINE_LENGTH - len(self._indent) - len("  # ")
        is_beside = all("\n" not in text and len(text) + len(comment) <= longest for text, _, comment in rows)
        for text, node, comment in rows:
            if is_beside:
                self.write(f"{text}  # {comment}", node)
            else:
                self.write(f"# {comment}")
                self.write_statement(text, node)

    def write_statement(self, text: str, node: Node) -> None:
        """A statement of one or more lines, the first of which is mapped."""
        if "\n" not in text:
            self.write(text, node)
            return
        first, *others = text.split("\n")
        self.write(first, node)
        for line in others:
            self.write(line)

    def write_call(self, before: str, call: Call, after: str = "", node: Node | None = None) -> None:
        """A call between two texts, on one line if it fits, else with one argument a line.

        `before` can begin with blanks, for a call that stands deeper.
        """
        line = f"{before}{call.function}({', '.join(call.arguments)}){after}"
        if len(self._indent) + len(line) <= LINE_LENGTH or not call.arguments:
            self.write(line, node)
            return
        blanks = before[: len(before) - len(before.lstrip())]
        self.write(f"{before}{call.function}(", node)
        with self.indented():
            for argument in call.arguments:
                self.write(f"{blanks}{argument},", node)
        self.write(f"{blanks}){after}")

    def write_docstring(self, summary: str, details: Iterable[tuple[str, str]]) -> None:
        """A docstring: one line, then named details, wrapped."""
        self.write(f"{QUOTES}{escape_text(summary)}")
        self.write()
        for name, detail in details:
            head, text = f"{name}: ", escape_text(detail)
            if len(self._indent) + len(head) + len(text) <= LINE_LENGTH:
                self.write(f"{head}{text.strip()}")
                continue
            lines = wrap(
                text,
                LINE_LENGTH - len(self._indent) - len(INDENT),
                initial_indent=" " * (len(head) - len(INDENT)),
                break_long_words=False,
                break_on_hyphens=False,
            )
            first, *others = lines or [""]
            self.write(f"{head}{first.strip()}")
            with self.indented():
                for line in others:
                    self.write(line)
        self.write(QUOTES)

    def finish(self, class_name: str, sentence: str) -> PythonSource:
        """Everything written so far."""
        text = "\n".join(self._lines) + "\n"
        return PythonSource(text, class_name, LineMap(self._origins), sentence)


def write_imports(writer: SourceWriter, *, uses_torch: bool, uses_nn: bool = True) -> None:
    """The first lines of a module, with the mark of the format."""
    writer.write(f"# {FORMAT}")
    if uses_torch:
        writer.write("import torch")
    writer.write("from torch import Tensor, nn" if uses_nn else "from torch import Tensor")
    writer.write()
    writer.write()


def shapes_text(graph: Graph, write: Callable[[TensorType], str] = str) -> str:
    """Shapes of inputs and outputs: `images [batch, in_channels, height, width] to [batch, num_classes]`."""
    inputs = ", ".join([f"{node.attribute('name')} {write(node.type)}" for node in graph.inputs])
    return f"{inputs} to {', '.join([write(graph.nodes[i].type) for i in graph.outputs])}"


def joining_text(name: str, values: Sequence[str], function: str | None = None) -> str:
    """A statement of a method that joins images along their channels, on as many lines as a formatter leaves it.

    Args:
        name: what the result is called.
        values: what is joined.
        function: takes the values one by one; default: `torch.cat`.

    Example:
        >>> joining_text("both", ["one", "other"])
        'both = torch.cat((one, other), dim=1)'
    """

    def fits(line: str) -> bool:
        return len(2 * INDENT) + len(line) <= LINE_LENGTH

    def one_a_line(indent: str) -> str:
        return "(\n" + "".join(f"{indent}{INDENT}{each},\n" for each in values) + f"{indent})"

    inside = ", ".join(values)
    line = f"{name} = {function}({inside})" if function else f"{name} = torch.cat(({inside}), dim=1)"
    if fits(line):
        return line
    if function:
        return f"{name} = {function}{one_a_line('')}"
    joined = f"({inside})" if fits(f"{INDENT}({inside}),") else one_a_line(INDENT)
    return f"{name} = torch.cat(\n{INDENT}{joined},\n{INDENT}dim=1,\n)"


def check_class_name(name: str) -> None:
    """Nothing, if a class can have that name.

    Raises:
        DslcError: DSLC502 if not.
    """
    if not name.isidentifier() or keyword.iskeyword(name) or name in RESERVED:
        raise DslcError(
            Diagnostic(
                Code.BAD_CLASS_NAME,
                Severity.ERROR,
                f"a class cannot be named `{name}`",
                help="use letters, digits and `_`, such as `MyNetwork`, and none of Python's or the module's own words",
            )
        )


def escape_text(text: str) -> str:
    """The text as it stands in a docstring: a sentence may hold quotes, backslashes and what no terminal shows."""
    shown = text.replace("\\", "\\\\")
    if not shown.isprintable():
        shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)
    return shown.replace('"', '\\"') if '"""' in shown or shown.endswith('"') else shown
