"""Emitted text to Python code, compiled once for all texts that differ in numbers, docstrings and comments only.

Python takes longer to compile the text of a network than dslc to write it, and nearly all networks that a search
samples are the same text with other numbers. What such texts share, their shape, is compiled with marks in place of the
numbers, and for each text the marks are exchanged for what it has there: the code is that of the text.

Such code knows the lines of its text and not the columns, which numbers of other widths would move: a traceback shows
the line and underlines nothing.
"""

from __future__ import annotations

import ast
import keyword
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType
from typing import TypeVar

from dslc.program.emit import QUOTES
from dslc.program.template import Constant, FilledTemplate, split_numbers

KEPT_SHAPES = 512
"""How many shapes are known; the code of one is about 10 kilobytes."""
MARK = "\N{REFERENCE MARK}"
"""Stands for a number, and begins the text constants that do; plain code has no text constants of its own."""

_PLAIN = re.compile(r"(?:[\w\s.,()=:]|->)*", re.ASCII)
_WORD = re.compile(r"\w+")
_PLAIN_KEYWORDS = frozenset(("class", "def", "return", "from", "import", "None", "True", "False"))
_OTHER_KEYWORDS = frozenset(keyword.kwlist) - _PLAIN_KEYWORDS

Key = TypeVar("Key")
Value = TypeVar("Value")
TextShape = tuple[str, tuple[int, ...]]
"""Code with a mark for each number and without comments; the number of line breaks in each docstring."""
TemplateShape = tuple[tuple[str, ...], int]
"""Pieces of a template, and the number of lines, which says how many the docstring has."""
Shape = TextShape | TemplateShape


@dataclass(frozen=True, slots=True)
class MarkedCode:
    """Code with marks: of a module, a class or a function."""

    code: CodeType
    marks: tuple[tuple[int, int], ...]
    """Index of a constant that is a mark, and of the value that belongs there."""
    inner: tuple[tuple[int, MarkedCode], ...]
    """Index of a constant that is code with marks, and that code."""


_seen: dict[int, None] = {}
"""Hashes of the shapes that came."""
_marked: dict[Shape, MarkedCode | None] = {}
"""The code of shapes that came again; None where marks cannot stand for the numbers."""


def compile_source(text: str, name: str, filled: FilledTemplate | None = None) -> CodeType:
    """Code of a module whose text a target emitted, to be run once.

    Args:
        text: the module.
        name: of its file, for tracebacks.
        filled: the text in parts, if it was written so.
    """
    if filled is not None:
        template = filled.pieces, filled.num_lines
        marked = _marked.get(template)
        if marked is not None:
            constants = [*filled.values]
            constants[filled.docstring] = _read_docstring(str(constants[filled.docstring]))
            return _fill_in(marked, constants, name)
        _note_shape(template, lambda: _compile_template(filled))
        return compile(text, name, "exec", dont_inherit=True)
    segments = text.split(QUOTES)
    docstrings = segments[1::2]
    lines: list[str] = []
    values: list[object] = []
    for line in QUOTES.join(segments[::2]).split("\n"):
        comment = line.find("#")
        marked_line, numbers = _mark_numbers(line if comment < 0 else line[:comment])
        lines.append(marked_line)
        values += numbers
    shape: TextShape = ("\n".join(lines), tuple([docstring.count("\n") for docstring in docstrings]))
    marked = _marked.get(shape)
    if marked is not None:
        return _fill_in(marked, [*values, *[_read_docstring(docstring) for docstring in docstrings]], name)
    _note_shape(shape, lambda: _compile_marked(*shape))
    return compile(text, name, "exec", dont_inherit=True)


def _note_shape(shape: Shape, compile_shape: Callable[[], MarkedCode | None]) -> None:
    """Compile a shape when it comes for the second time: most of large programs come only once."""
    if shape in _marked:
        return
    if hash(shape) in _seen:
        _keep(_marked, shape, compile_shape())
    else:
        _keep(_seen, hash(shape), None)


def _keep(kept: dict[Key, Value], key: Key, value: Value) -> None:
    if len(kept) >= KEPT_SHAPES:
        del kept[next(iter(kept))]
    kept[key] = value


@lru_cache(maxsize=4096)
def _mark_numbers(line: str) -> tuple[str, tuple[Constant, ...]]:
    """A line of code with a mark for each number, and the numbers; kept, since most lines come again and again."""
    pieces, numbers = split_numbers(line)
    return MARK.join(pieces), numbers


def _read_docstring(text: str) -> str:
    """What stands between quotes, as Python reads it."""
    # From 3.13 on a docstring loses its indentation where it is compiled.
    if "\\" not in text and sys.version_info < (3, 13):
        return text
    value: str = compile(f"{QUOTES}{text}{QUOTES}", "<docstring>", "exec", dont_inherit=True).co_consts[0]
    return value


def _fill_in(marked: MarkedCode, values: Sequence[object], name: str) -> CodeType:
    constants = list(marked.code.co_consts)
    for place, number in marked.marks:
        constants[place] = values[number]
    for place, inner in marked.inner:
        constants[place] = _fill_in(inner, values, name)
    return marked.code.replace(co_consts=tuple(constants), co_filename=name)


def _compile_marked(code: str, line_breaks: Sequence[int]) -> MarkedCode | None:
    """The code of a shape, or None if it is not plain: names, calls and assignments, of which no number is computed."""
    plain = code.replace(MARK, "0").split(QUOTES)
    if not all(_PLAIN.fullmatch(segment) and _OTHER_KEYWORDS.isdisjoint(_WORD.findall(segment)) for segment in plain):
        return None
    if not all(segment.rstrip(" ").endswith(":\n") for segment in plain[:-1]):  # another text than a docstring
        return None
    num_numbers = code.count(MARK)
    before, *others = code.split(MARK)
    first, *segments = "".join([before, *[f'"{MARK}{i}"{after}' for i, after in enumerate(others)]]).split(QUOTES)
    for i, (number, segment) in enumerate(zip(line_breaks, segments, strict=True), start=num_numbers):
        first += f'"{MARK}{i}"' + "\n" * number + segment
    tree = ast.parse(first)
    for node in ast.walk(tree):
        match node:
            case ast.Expr(ast.Constant(str(mark))) if int(mark.removeprefix(MARK)) < num_numbers:
                return None  # a number that stands alone; a text there would be a docstring
    return _find_marks(_compile_without_columns(tree))


def _compile_template(filled: FilledTemplate) -> MarkedCode | None:
    """The code of a template; None if Python has made one of its numbers a part of something else."""
    marks: list[str] = []
    for i, known in enumerate(filled.values):
        if isinstance(known, str):
            # A docstring can have several lines; of comments nothing is compiled.
            marks.append(f"{MARK}{i}" + "\n" * known.count("\n") if i == filled.docstring else known)
        else:
            # In quotes, a text constant that stands where the number does.
            marks.append(f'"{MARK}{i}"')
    tree = ast.parse(filled.fill(marks))
    if any(isinstance(node, ast.operator | ast.unaryop | ast.boolop | ast.cmpop) for node in ast.walk(tree)):
        return None  # Python computes with numbers where it compiles
    marked = _find_marks(_compile_without_columns(tree))
    num_marks = 1 + sum(not isinstance(known, str) for known in filled.values)
    return marked if marked is not None and _count_marks(marked) == num_marks else None


def _compile_without_columns(tree: ast.Module) -> CodeType:
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt | ast.expr | ast.arg | ast.keyword | ast.alias):
            node.end_lineno = node.lineno
            node.col_offset = node.end_col_offset = -1  # unknown
    return compile(tree, "<shape>", "exec", dont_inherit=True)


def _find_marks(code: CodeType) -> MarkedCode | None:
    """Code of a shape; None if Python has made a mark part of another constant."""
    marks: list[tuple[int, int]] = []
    inner: list[tuple[int, MarkedCode]] = []
    for place, constant in enumerate(code.co_consts):
        if isinstance(constant, CodeType):
            found = _find_marks(constant)
            if found is None:
                return None
            inner.append((place, found))
        elif isinstance(constant, str) and constant.startswith(MARK):
            marks.append((place, int(constant.removeprefix(MARK))))  # line breaks behind it do not count
        elif MARK in repr(constant):
            return None
    return MarkedCode(code, tuple(marks), tuple(inner))


def _count_marks(marked: MarkedCode) -> int:
    return len(marked.marks) + sum(_count_marks(inner) for _, inner in marked.inner)
