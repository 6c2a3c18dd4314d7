"""Code of emitted text: what Python's own compiler makes of each text, whatever was compiled before."""

import dis
import traceback
from collections.abc import Iterator
from types import CodeType
from typing import Any

import pytest

import dslc
from dslc.program import compile_source as module
from dslc.program.compile_source import compile_source
from dslc.program.targets import target_names
from dslc.program.template import FilledTemplate, TemplateWriter


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_seen", {})
    monkeypatch.setattr(module, "_marked", {})


def describe(code: CodeType) -> Iterator[tuple[Any, ...]]:
    """All that running or looking at code can depend on, but for columns."""
    yield (code.co_name, code.co_qualname, code.co_filename, code.co_firstlineno, code.co_flags, code.co_stacksize)
    yield (code.co_argcount, code.co_varnames, code.co_freevars, code.co_cellvars, code.co_exceptiontable)
    inner = []
    for step in dis.get_instructions(code):
        value = step.argval
        if isinstance(value, CodeType):
            inner.append(value)
            value = None
        line = step.positions.lineno if step.positions else None
        yield (step.offset, step.opname, type(value), value, line)
    for each in inner:
        yield from describe(each)


def check_as_compiled(text: str, name: str, filled: FilledTemplate | None = None) -> None:
    assert list(describe(compile_source(text, name, filled))) == list(
        describe(compile(text, name, "exec", dont_inherit=True))
    )


@pytest.mark.parametrize("start", ["start", "layers_3_stride_1", "layers_6"])
def test_networks_are_compiled_as_by_python(start: str) -> None:
    space = dslc.compile("conv_net", start=start)
    for number, program in enumerate(space.samples(80, seed=1)):
        check_as_compiled(program.source.text, f"<network {number}>")
    assert len([marked for marked in module._marked.values() if marked is not None]) >= 4


@pytest.mark.parametrize("start", ["start", "layers_6", "skips_6"])
def test_templates_of_networks_are_compiled_as_by_python(start: str) -> None:
    for number, program in enumerate(dslc.compile("conv_net", start=start).samples(40, seed=3)):
        source = program.source
        assert source.filled is not None
        assert str(source.filled) == source.text
        assert source.filled.num_lines == source.text.count("\n")
        for _ in range(3):
            check_as_compiled(source.text, f"<network {number}>", source.filled)
    if start != "skips_6":  # sizes that are added, and images that are padded
        assert None not in module._marked.values()
        assert len(module._marked) >= 4


@pytest.mark.parametrize(
    "piece", ["x = 2 * %s", "x = -%s", "x = (%s, (1, 2))", "x = f(%s, (3, %s))", "if %s:\n    x = 1", "x = f(%s)  # %s"]
)
def test_a_template_whose_numbers_are_computed_is_compiled_as_by_python(piece: str) -> None:
    for i in range(4):
        writer = TemplateWriter()
        writer.write("class C:")
        writer.write_docstring(f"Of {i} \\\\ {i}.\n\n    More.\n    ")
        is_commented = "#" in piece
        writer.write(piece, (), (i, f"of {i}") if is_commented else (i,) * piece.count("%s"))
        source = writer.finish("C", "")
        check_as_compiled(source.text, f"<text {i}>", source.filled)


@pytest.mark.parametrize("name", [name for name in target_names() if name != "generic"])
def test_programs_of_every_target_are_compiled_as_by_python(name: str) -> None:
    space = dslc.compile(name if name != "conv_cell" else "dag_cell")
    for number, program in enumerate(space.samples(12, seed=2)):
        for _ in range(3):
            check_as_compiled(program.source.text, f"<program {number}>")


@pytest.mark.parametrize(
    "text",
    [
        "def f(x):\n    return g(x, 1, 22, (1, 2, 3), k=(4, 5))\n",
        "def f(x, y=1, z=(2, 3)):\n    return x\n",  # defaults are one constant
        "x, y = 1, 2\n",  # so are both values
        "x = (1, (2, 3), 4)\n",
        "x = f(1, 2)(3, 4)\n",  # arguments twice
        "x = f(1.5, 2e3, 0.25, 1j, 10)\n",
        "x = 2 * 3 + 1\n",
        "if 0:\n    x = 1\n",
        "while 1:\n    x = 2\n    break\n",
        "x = 0 or 1\n",
        "x = -1\n",
        "x = [1, 2][0]\n",
        "3\nx = 1\n",
        "x = 'a 1 b'\n",
        'x = """1 2"""\n',
        'class C:\n    """A 1.\n\n    More: \\\\ 2 \\" x\n    """\n\n    size = 3  # 4\n'
        '\n    def f(self):\n        """B."""\n        return 5\n',
        'def f():\n    """A # 1."""\n    # 2\n    return 3\n',
        "def f():\n    # nothing\n    pass\n",
        "",
    ],
)
def test_any_text_is_compiled_as_by_python(text: str) -> None:
    for number in range(4):
        check_as_compiled(text.replace("1", "17") if number == 3 else text, f"<text {number}>")


def test_a_shape_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f'class C:\n    """Of {i}."""\n\n    size = f({i}, (1, {i}))  # {i}\n' for i in range(5)]
    for text in texts[:2]:
        compile_source(text, "<text>")
    monkeypatch.setattr(module, "compile", None, raising=False)
    for i, text in enumerate(texts):
        scope: dict[str, Any] = {"__name__": "emitted", "f": lambda *values: values}
        exec(compile_source(text, "<text>"), scope)
        assert scope["C"].size == (i, (1, i))
        assert scope["C"].__doc__ == f"Of {i}."


def test_the_last_shapes_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_SHAPES", 3)
    for i in range(8):
        for _ in range(2):
            check_as_compiled(f"x{i} = 1\n", "<text>")
    assert [str(shape[0])[:2] for shape in module._marked] == ["x5", "x6", "x7"]
    assert len(module._seen) == 3


def test_a_traceback_shows_the_line() -> None:
    text = "def f(x):\n    return g(\n        x,\n        divide(x, 1),\n    )\n"
    shown = []
    for _ in range(3):
        scope: dict[str, Any] = {"g": None, "divide": lambda x, y: x / (y - 1)}
        exec(compile_source(text, "<text>"), scope)
        with pytest.raises(ZeroDivisionError) as error:
            scope["f"](1)
        shown.append([(frame.name, frame.lineno) for frame in traceback.extract_tb(error.value.__traceback__)][1:])
    assert shown == [[("f", 4), ("<lambda>", shown[0][1][1])]] * 3
