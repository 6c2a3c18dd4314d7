"""Colours of drawings: a light palette in the DOT text, and the style sheet that swaps it in dark mode.

Both layout programs copy a colour from the DOT text into the SVG as it stands, so a style sheet can find every element by
its light colour and needs no class of its own. What stands outside a box keeps one grey in both modes, legible on white
and on black, since a page that embeds the picture may be light while the reader's system is dark.
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


class Tones(Enum):
    """A tone for each kind of box; hues stay apart for readers who do not tell red from green."""

    RULE = Tone(Shade("#e3eefb", "#17324d"), Shade("#5b8fc7", "#5f97d4"))
    LEAF = Tone(Shade("#fbfcfd", "#20262c"), Shade("#aab4bf", "#59636e"))
    INPUT = Tone(Shade("#e4e8ec", "#2b323a"), Shade("#7f8b97", "#8a96a2"))
    TRAINED = Tone(Shade("#fdecc8", "#4a3712"), Shade("#c98f1b", "#d9a441"))
    COMPUTED = Tone(Shade("#dff0fa", "#123547"), Shade("#4a9cc4", "#4fa6d1"))
    NONLINEAR = Tone(Shade("#f3e3f6", "#3b2342"), Shade("#a868b5", "#b97bc6"))
    RESHAPED = Tone(Shade("#dcf3ea", "#12392c"), Shade("#3d9c7a", "#45ab87"))
    OUTPUT = Tone(Shade("#d3d9df", "#3a434c"), Shade("#5c6772", "#a3afbb"))


INK = Shade("#15191e", "#eef1f4")
"""Text in a box."""
FAINT_INK = Shade("#56606b", "#a9b4bf")
"""Second-rank text in a box."""
OUTSIDE = Shade("#717881", "#717982")
"""Edges and the text beside them: 4.5 to 1 against white, 4.2 to 1 against black pages."""


def style_sheet() -> str:
    """Rules that give each light colour its dark counterpart where the reader's system is dark.

    Example:
        >>> "prefers-color-scheme: dark" in style_sheet()
        True
    """
    shades = [INK, FAINT_INK, OUTSIDE, *(shade for tone in Tones for shade in (tone.value.fill, tone.value.line))]
    rules = [
        f'svg.dslc-drawing [{attribute}="{shade.light}"]{{{attribute}:{shade.dark}}}'
        for shade in dict.fromkeys(shades)
        for attribute in ("fill", "stroke")
    ]
    return "svg.dslc-drawing{color-scheme:light dark}@media (prefers-color-scheme: dark){" + "".join(rules) + "}"
