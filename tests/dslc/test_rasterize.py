"""PNG: real pixels, with ink where texts are, in the font that comes along."""

import io
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dslc.diagnostics import DslcError
from dslc.program.draw import draw_tree
from dslc.program.draw import rasterize as module
from dslc.program.draw.rasterize import ZOOM, find_font_files, rasterize_svg
from dslc.program.tree import Leaf, ParseTree
from dslc.space import compile

SVG = "{http://www.w3.org/2000/svg}"


def pixels_of(svg: str) -> NDArray[np.uint8]:
    image = Image.open(io.BytesIO(rasterize_svg(svg)))
    assert image.format == "PNG"
    return np.asarray(image.convert("L"))


@pytest.mark.parametrize("what", ["tree", "graph"])
def test_ink_inside_every_box(what: str) -> None:
    program = compile("conv_net").sample(seed=3)
    svg = program.draw("tree" if what == "tree" else "graph").svg
    root = ElementTree.fromstring(svg)
    pixels = pixels_of(svg)
    left, top, width, height = (float(number) for number in root.attrib["viewBox"].split())
    assert pixels.shape == (round(height * ZOOM), round(width * ZOOM))
    boxes = 0
    for group in root.iter(f"{SVG}g"):
        rectangle = group.find(f"{SVG}rect")
        if rectangle is None or group.find(f"{SVG}text") is None:
            continue
        x, y, w, h = (float(rectangle.attrib[key]) for key in ("x", "y", "width", "height"))
        inside = pixels[
            round((y - top + 3) * ZOOM) : round((y - top + h - 3) * ZOOM),
            round((x - left + 3) * ZOOM) : round((x - left + w - 3) * ZOOM),
        ]
        assert (inside < 100).sum() > 20, "letters are dark"
        assert inside.max() > 200, "on a light box"
        boxes += 1
    assert boxes >= 4


def test_ink_in_syntax_diagrams_and_curves() -> None:
    for svg in (compile("rnn_cell").draw("railroad").svg, compile("activation").sample(seed=0).draw().svg):
        pixels = pixels_of(svg)
        assert pixels[0, 0] == 255, "white paper"
        assert (pixels < 100).mean() > 0.002


def test_letters_of_other_scripts_do_not_harm() -> None:
    svg = draw_tree(ParseTree("rule", (Leaf("TEXT", "日本 😀 é <&>"),)), "日本").svg
    assert (pixels_of(svg) < 100).any()


def test_the_font_is_there_with_its_licence() -> None:
    files = find_font_files()
    assert all(path.is_file() for path in files)
    assert (files[0].parent / "LICENSE_DEJAVU").is_file()
    assert "DejaVu Sans" in compile("conv_net").sample(seed=0).draw().svg


def test_large_pictures_are_made_less_sharp_then_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    svg = draw_tree(ParseTree("rule", (Leaf("TEXT", "a"),)), "a").svg
    root = ElementTree.fromstring(svg)
    area = int(root.attrib["width"]) * int(root.attrib["height"])
    monkeypatch.setattr(module, "SHARP_PIXELS", area)
    assert pixels_of(svg).size <= area * 1.05
    monkeypatch.setattr(module, "MAX_PIXELS", area - 1)
    with pytest.raises(DslcError, match="DSLC584"):
        rasterize_svg(svg)
