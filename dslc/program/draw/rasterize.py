"""SVG text to PNG, without a browser and without the system's fonts."""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity

ZOOM = 2.0
"""Pixels of the picture for a pixel of the SVG, down to one where there would be more than SHARP_PIXELS."""
SHARP_PIXELS = 12_000_000
MAX_PIXELS = 60_000_000
FONT_NAME = "DejaVu Sans"
_FONT_FILES = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf")
_LAST_OF_FONT = "\u2fff"
"""What comes after it (Chinese, Japanese, Korean, pictures) the font has not, and the system's fonts may have."""


def rasterize_svg(svg: str) -> bytes:
    """PNG of an SVG text, on white, all of its texts in DejaVu Sans.

    Raises:
        DslcError: DSLC584 for a picture of more than MAX_PIXELS pixels.
    """
    attributes = ElementTree.fromstring(svg).attrib
    width, height = float(attributes["width"]), float(attributes["height"])
    zoom = min(ZOOM, max(1.0, math.sqrt(SHARP_PIXELS / (width * height))))
    if width * height > MAX_PIXELS:
        raise DslcError(
            Diagnostic(
                Code.DRAWING_TOO_LARGE,
                Severity.ERROR,
                f"the picture has {width:g} x {height:g} pixels, the limit is {MAX_PIXELS:,} in all",
                help="draw a shorter sentence, or write an `.svg` file",
            )
        )
    # A library of compiled code, which no other command needs.
    import resvg_py

    png: bytes = resvg_py.svg_to_bytes(
        svg_string=svg.replace(f'font-family="{attributes["font-family"]}"', f'font-family="{FONT_NAME}"', 1),
        background="white",
        zoom=zoom,
        skip_system_fonts=max(svg) <= _LAST_OF_FONT,
        font_files=[str(path) for path in find_font_files()],
        font_family=FONT_NAME,
        sans_serif_family=FONT_NAME,
    )
    return png


def find_font_files() -> tuple[Path, ...]:
    """The font's files, regular and bold: those that matplotlib brings along, which is not imported for it."""
    spec = find_spec("matplotlib")
    assert spec is not None, "matplotlib is installed with dslc"
    assert spec.origin is not None, "matplotlib is a package of files"
    return tuple(Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / name for name in _FONT_FILES)
