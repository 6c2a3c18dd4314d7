"""The picture of regret curves: a panel a strategy, each with the same two yardsticks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from io import StringIO

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from dslc.search.report.plots import COLOURS, CONTROL, SETTINGS, STRATEGY, TEXT

LIGHT = {
    "--faint": "#5b6670",
    "--rule": "#d5dbe1",
    "--strategy": "#0b63b5",
    "--best": "#0b63b5",
    "--control": "#8a5a00",
}
DARK = {"--faint": "#a9b4bf", "--rule": "#3a434c", "--strategy": "#6aa9ea", "--best": "#6aa9ea", "--control": "#e0a64a"}
"""Of the report's variables; the picture stands alone, so it brings them along."""
COLUMNS = 3
Z = 1.96
"""Standard errors on either side of a mean that make 95%."""


def draw_curves(regrets: Mapping[str, NDArray[np.float64]], yardsticks: tuple[str, str]) -> str:
    """SVG of mean regret [seed, evaluation] against evaluations, a panel for each strategy that is no yardstick.

    The band is 95% of the mean; the first yardstick is dotted, the second dashed. Colours follow the reader's scheme.
    """
    names = [name for name in regrets if name not in yardsticks]
    rows = -(-len(names) // COLUMNS)
    with mpl.rc_context({**SETTINGS, "font.size": 9, "svg.hashsalt": "regret"}):
        figure = Figure(figsize=(8.0, 2.1 * rows), layout="constrained")
        figure.patch.set_visible(False)
        panels = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False).flat
        for panel, name in zip(panels, names, strict=False):
            panel.patch.set_visible(False)
            for yardstick, style in zip(yardsticks, [(0, (1, 1.5)), (0, (4, 2))], strict=True):
                mean = regrets[yardstick].mean(0)
                panel.plot(np.arange(1, len(mean) + 1), mean, color=CONTROL, linewidth=1.1, linestyle=style)
            values = regrets[name]
            mean, error = values.mean(0), values.std(0, ddof=1) / len(values) ** 0.5 if len(values) > 1 else 0.0
            steps = np.arange(1, len(mean) + 1)
            low = np.maximum(mean - Z * error, 1e-3)
            panel.fill_between(steps, low, mean + Z * error, color=STRATEGY, alpha=0.18, linewidth=0)
            panel.plot(steps, mean, color=STRATEGY, linewidth=1.6)
            panel.set_title(f"{name}, {len(values)} seeds", fontsize=9, color=TEXT, loc="left")
            panel.set_yscale("log")
            panel.set_ylim(0.05, 10)
            panel.set_yticks([0.1, 1, 10])
            panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            panel.minorticks_off()
            panel.set_xlim(0, len(mean))
        figure.supxlabel("evaluations", fontsize=9, color=TEXT)
        figure.supylabel("mean regret, percentage points", fontsize=9, color=TEXT)
        text = StringIO()
        figure.savefig(text, format="svg")
    finals = ", ".join(f"{name} {values[:, -1].mean():.2f}" for name, values in regrets.items())
    label = f"Mean regret against evaluations, a panel a strategy. At the end: {finals}."
    return _dress(text.getvalue(), label)


def _dress(svg: str, label: str) -> str:
    """Named for readers who do not see it, in the colours of the reader's scheme."""
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    for colour, variable in COLOURS.items():
        svg = svg.replace(colour, f"var({variable})")
    light, dark = (";".join(f"{name}:{value}" for name, value in each.items()) for each in (LIGHT, DARK))
    style = f"svg{{color-scheme:light dark;{light}}}@media screen and (prefers-color-scheme:dark){{svg{{{dark}}}}}"
    svg = re.sub(r"<svg", f'<svg role="img" aria-label="{escape(label)}"', svg, count=1)
    svg = re.sub(
        r"(<svg[^>]*>)", lambda head: f"{head[1]}<title>{escape(label)}</title><style>{style}</style>", svg, count=1
    )
    return re.sub(r"\n\s*\n+", "\n", svg).strip() + "\n"
