"""Shares over time as a heat map: a row a choice, a column a window, the darker the more often it was taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any
from unicodedata import combining, east_asian_width

WIDTH, ROW, TOP = 360, 16, 2
"""Size in px as for the other plots: legible on a narrow screen, and larger on a wide one."""
LEFT, RIGHT = 92, 324
"""Where the cells begin and end."""
LONGEST_LABEL = 14
"""Columns of a label; what is longer is cut."""


def draw_shares(slot: Mapping[str, Any], evaluations: Sequence[int]) -> str:
    """SVG of the choices of one slot; the last column stands beside it in figures."""
    choices = slot["choices"]
    bottom = TOP + ROW * len(choices)
    step = (RIGHT - LEFT) / len(evaluations)
    label = escape(_label(slot, evaluations))
    parts = [
        f'<svg class="plot" role="img" aria-label="{label}" viewBox="0 0 {WIDTH} {bottom + 18}">',
        f'<rect x="{LEFT}" y="{TOP}" width="{RIGHT - LEFT}" height="{bottom - TOP}" fill="var(--panel)"/>',
    ]
    for row, choice in enumerate(choices):
        y = TOP + ROW * row
        middle = y + ROW - 4.5
        parts.append(_text(LEFT - 6, middle, _cut(choice["label"]), "end"))
        cells = [
            f'<path d="M{LEFT + step * place:.1f} {y + 0.5}h{step:.1f}v{ROW - 1}h-{step:.1f}z" '
            f'fill-opacity="{share:.2f}"/>'
            for place, share in enumerate(choice["shares"])
            if share is not None and share >= 0.005
        ]
        parts.append(f'<g fill="var(--strategy)" shape-rendering="crispEdges">{"".join(cells)}</g>')
        last = choice["shares"][-1]
        parts.append(_text(WIDTH, middle, "–" if last is None else f"{100 * last:.0f}%", "end"))
    parts.append(_text(LEFT, bottom + 13, "1", "start"))
    parts.append(_text(RIGHT, bottom + 13, f"{evaluations[-1]:,}", "end"))
    return "".join([*parts, "</svg>"])


def _text(x: float, y: float, text: str, anchor: str) -> str:
    style = "font: 10px var(--sans); fill: var(--faint)"
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" style="{style}">{escape(text)}</text>'


def _cut(label: str) -> str:
    """The label, or its beginning: as many columns as there is room for."""
    width = 0
    for end, character in enumerate(label):
        width += 0 if combining(character) else 2 if east_asian_width(character) in "WF" else 1
        if width > LONGEST_LABEL:
            return label[: max(end - 1, 1)] + "…"
    return label


def _label(slot: Mapping[str, Any], evaluations: Sequence[int]) -> str:
    parts = [f"Heat map of how often each choice of {slot['name']} was taken over {evaluations[-1]} evaluations."]
    for choice in slot["choices"]:
        known = [share for share in choice["shares"] if share is not None]
        if known:
            parts.append(f"{choice['label']}: from {100 * known[0]:.0f}% to {100 * known[-1]:.0f}%.")
    return " ".join(parts)
