"""Syntax diagrams: every rule and literal, as the grammar writes it, in SVG and as a graph in DOT."""

import html
import re
from xml.etree import ElementTree

import pytest

from dslc.grammars import grammar_names
from dslc.program.draw.railroad import MOST_LITERALS, draw_railroad, reach_symbols
from dslc.space import Space, compile, compile_text
from tests.dslc.layout_dot import read_layout

SVG = "{http://www.w3.org/2000/svg}"

EBNF = r"""
start: a? [b] (c | d)* e+ f~2 g~0..3 "<&>"
a: "x"i -> upper
b: "b1" | /[pq]r/
c: C
d: "d" ("," "d")*
e: ("e1" | "e2")
f:
g: start2
start2: "z"
unused: "never"
C: "c1" | "c2"
"""


def texts_of(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def reached_literals(space: Space) -> set[str]:
    terminals = {name for rule in space.compilation.facts.trimmed.rules for p in rule.productions for name in
                 (symbol.name for symbol in p.symbols)}  # fmt: skip
    return {
        literal.text for t in space.compilation.facts.trimmed.terminals if t.name in terminals for literal in t.literals
    }


@pytest.mark.parametrize("name", grammar_names())
def test_every_rule_and_literal_is_drawn(name: str) -> None:
    for start in compile(name).compilation.grammar.pragmas.starts or ("start",):
        space = compile(name, start=start)
        drawing = space.draw("railroad")
        texts = texts_of(drawing.svg)
        assert reached_literals(space) <= set(texts)
        rules, terminals = reach_symbols(space.compilation.grammar, start)
        assert {*(rule.name for rule in rules), *(terminal.name for terminal in terminals)} <= set(texts)
        assert rules[0].name == start
        width, height = (float(ElementTree.fromstring(drawing.svg).attrib[key]) for key in ("width", "height"))
        assert width < 1100
        assert height < 2000


def test_everything_that_a_rule_can_hold() -> None:
    space = compile_text(EBNF)
    texts = texts_of(space.draw("railroad").svg)
    assert {"<&>", "x (any case)", "b1", "pr", "qr", "c1", "c2", "e1", "e2", "z", "→ upper"} <= set(texts)
    assert {"2 times", "at most 3 times"} <= set(texts)
    assert "never" not in texts
    assert texts.count(",") == 1


def test_the_start_decides_what_is_shown() -> None:
    grammar = compile("conv_net").compilation.grammar
    assert [rule.name for rule in reach_symbols(grammar, "layers_6_stride_1")[0]] == [
        "layers_6_stride_1",
        "layer_stride_1",
    ]


def test_nothing_lies_outside() -> None:
    root = ElementTree.fromstring(compile("rnn_cell").draw("railroad").svg)
    width = float(root.attrib["width"])
    for rectangle in root.iter(f"{SVG}rect"):
        assert 0 <= float(rectangle.attrib["x"]) <= width - float(rectangle.attrib["width"])


def test_colours_swap_in_dark_mode() -> None:
    svg = compile("rnn_cell").draw("railroad").svg
    assert "prefers-color-scheme: dark" in svg
    root = ElementTree.fromstring(svg)
    assert {element.attrib["class"] for element in root.iter(f"{SVG}rect")} == {"rule", "leaf", "shape"}
    inside = [text for text in root.iter(f"{SVG}text") if text.attrib.get("class") == "ink"]
    assert len(inside) == len(list(root.iter(f"{SVG}rect")))


def test_long_terminals_are_cut() -> None:
    literals = " | ".join(f'"n{i}"' for i in range(MOST_LITERALS + 50))
    texts = texts_of(compile_text(f"start: N\nN: {literals}").draw("railroad").svg)
    assert "… 51 more" in texts
    assert "n0" in texts


def test_a_space_shows_its_grammar_in_a_notebook() -> None:
    space = compile("expression")
    assert (
        space._repr_svg_()
        == space.draw().svg
        == draw_railroad(space.compilation.grammar, "start", "expression: start").svg
    )


@pytest.mark.parametrize("text", [EBNF, *grammar_names()])
def test_dot_is_good_for_graphviz(text: str) -> None:
    space = compile_text(text) if "\n" in text else compile(text)
    drawing = space.draw("railroad")
    layout = read_layout(drawing.dot)
    rules, terminals = reach_symbols(space.compilation.grammar, space.start)
    clusters = [item["label"] for item in layout["objects"] if item["name"].startswith("cluster")]
    assert clusters == [*(rule.name for rule in rules), *(terminal.name for terminal in terminals)]
    labels = {html.unescape(item.get("label", "")) for item in layout["objects"]}
    assert reached_literals(space) <= labels
    assert drawing.source.source.rstrip() == drawing.dot.rstrip()


def test_ways_through_a_cluster_are_its_texts() -> None:
    space = compile_text('start: "a" ("b" | "c")? "d"~1..2')
    tracks: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    for line in space.draw("railroad").dot.splitlines():
        if found := re.match(r"\s*(n\d+) -> (n\d+)", line):
            tracks.setdefault(found[1], []).append(found[2])
        elif found := re.match(r'\s*(n\d+)(?: \[.*label="(.*?)")?', line):
            names[found[1]] = found[2] or ""
    first, last = next(iter(names)), list(names)[-1]
    found_texts = set()
    stack = [(first, "")]
    while stack:
        node, text = stack.pop()
        if len(text) > 4:
            continue
        if node == last:
            found_texts.add(text)
        stack.extend((after, text + names[after]) for after in tracks.get(node, []))
    assert {text for text in found_texts if text.count("d") <= 2} == {"ad", "add", "abd", "abdd", "acd", "acdd"}
