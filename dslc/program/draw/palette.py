"""Colours of drawings, in light and dark mode.

Every element carries its light colour as an attribute, which programs without CSS read, and a class, by which the
style sheet swaps the colour where the reader's system is dark. What stands outside a box keeps one grey in both modes,
legible on white and on black: a page that embeds the picture may be light while the reader's system is dark.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class Shade:
    """One colour in both modes, as `#rrggbb`."""

    light: str
    dark: str


@dataclass(frozen=True, slots=True)
class Tone:
    """The colours of one kind of box."""

    fill: Shade
    line: Shade


class Kind(Enum):
    """What a box stands for, with its colours; hues stay apart for readers who do not tell red from green."""

    RULE = Tone(Shade("#e3eefb", "#17324d"), Shade("#5b8fc7", "#5f97d4"))
    LEAF = Tone(Shade("#fbfcfd", "#20262c"), Shade("#aab4bf", "#59636e"))
    ENDPOINT = Tone(Shade("#e4e8ec", "#2b323a"), Shade("#7f8b97", "#8a96a2"))
    TRAINED = Tone(Shade("#fdecc8", "#4a3712"), Shade("#c98f1b", "#d9a441"))
    CONSTANT = Tone(Shade("#f6f0dc", "#3a3420"), Shade("#b0a06a", "#a89a6c"))
    UNARY = Tone(Shade("#e0f1fb", "#123547"), Shade("#4a9cc4", "#4fa6d1"))
    BINARY = Tone(Shade("#f2e4f7", "#3b2342"), Shade("#a868b5", "#b97bc6"))
    SHAPE = Tone(Shade("#dcf3ea", "#12392c"), Shade("#3d9c7a", "#45ab87"))

    @property
    def class_name(self) -> str:
        """Class of its box in the SVG."""
        return self.name.lower()


INK = Shade("#15191e", "#eef1f4")
"""Text in a box."""
FAINT_INK = Shade("#56606b", "#a9b4bf")
"""Second-rank text in a box."""
CURVE = Shade("#2f6fb3", "#6aa9ea")
"""A program's values."""
OUTSIDE = "#717881"
"""Lines and text outside boxes: contrast 4.5 on white, 4.2 on Chromium's dark canvas."""


def style_sheet() -> str:
    """The rules that swap colours in dark mode, scoped so that they touch nothing else in a page with the figure.

    Example:
        >>> "prefers-color-scheme: dark" in style_sheet()
        True
    """
    scope = "svg.dslc-drawing"
    swaps = [f"{scope} .ink{{fill:{INK.dark}}}", f"{scope} .faint{{fill:{FAINT_INK.dark}}}"]
    swaps.append(f"{scope} .curve{{stroke:{CURVE.dark}}}")
    for kind in Kind:
        tone = kind.value
        swaps.append(f"{scope} .{kind.class_name}{{fill:{tone.fill.dark};stroke:{tone.line.dark}}}")
    # Without color-scheme a browser shows the file itself on white even where the reader's system is dark.
    dark = ["@media screen and (prefers-color-scheme: dark){", *swaps, "}"]
    return "\n".join([f"{scope}{{color-scheme:light dark}}", *dark])
