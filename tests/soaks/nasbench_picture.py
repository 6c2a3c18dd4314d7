"""The picture of regret curves: a panel a strategy, each with the same two yardsticks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from io import StringIO
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from dslc.search.report import plots
from dslc.search.report.plots import COLOURS, CONTROL, SETTINGS, STRATEGY, TEXT

STYLE_SHEET = Path(plots.__file__).with_name("report.css")
"""Has the values of the colours, light and dark."""
COLUMNS = 3
LEAST = 0.01
"""Lower end of the axis, which has no zero."""
Z = 1.96
"""Standard errors on either side of a mean that make 95%."""


def draw_curves(regrets: Mapping[str, NDArray[np.float64]], yardsticks: tuple[str, str]) -> str:
    """SVG of mean regret [seed, evaluation] against evaluations, a panel for each strategy that is no yardstick.

    The band is 95% of the mean; the first yardstick is dotted, the second dashed. Colours follow the reader's scheme.
    """
    names = [name for name in regrets if name not in yardsticks]
    rows = -(-len(names) // COLUMNS)
    with mpl.rc_context({**SETTINGS, "font.size": 9, "svg.hashsalt": "regret"}):
        figure = Figure(figsize=(8.0, 0.3 + 1.9 * rows), layout="constrained")
        figure.patch.set_visible(False)
        panels = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False).ravel()
        for spare in panels[len(names) :]:
            spare.set_visible(False)
        for panel, name in zip(panels, names, strict=False):
            panel.patch.set_visible(False)
            for yardstick, style in zip(yardsticks, [(0, (1, 1.5)), (0, (4, 2))], strict=True):
                mean = regrets[yardstick].mean(0)
                steps = _choose_steps(len(mean))
                panel.plot(steps, mean[steps - 1], color=CONTROL, linewidth=1.1, linestyle=style, label=yardstick)
            number, last = regrets[name].shape
            steps = _choose_steps(last)
            values = regrets[name][:, steps - 1]
            mean, error = values.mean(0), values.std(0, ddof=1) / number**0.5 if number > 1 else 0.0
            low = np.maximum(mean - Z * error, LEAST / 2)
            panel.fill_between(steps, low, mean + Z * error, color=STRATEGY, alpha=0.18, linewidth=0)
            panel.plot(steps, np.maximum(mean, LEAST / 2), color=STRATEGY, linewidth=1.6, label="the strategy")
            panel.set_title(f"{name}, {number} seeds", fontsize=9, color=TEXT, loc="left")
            panel.set_yscale("log")
            panel.set_ylim(LEAST, 10)
            panel.set_yticks([0.01, 0.1, 1, 10])
            panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            panel.minorticks_off()
            panel.set_xlim(0, last)
        handles, labels = panels[0].get_legend_handles_labels()
        legend = figure.legend(handles, labels, loc="outside upper left", ncols=3, frameon=False, fontsize=9)
        for each in legend.get_texts():
            each.set_color(TEXT)
        figure.supxlabel("evaluations", fontsize=9, color=TEXT)
        figure.supylabel("mean regret, percentage points", fontsize=9, color=TEXT)
        text = StringIO()
        figure.savefig(text, format="svg")
    finals = ", ".join(f"{name} {values[:, -1].mean():.2f}" for name, values in regrets.items())
    label = f"Mean regret against evaluations, a panel a strategy. At the end: {finals}."
    return _dress(text.getvalue(), label)


def _choose_steps(last: int) -> NDArray[np.int64]:
    """Evaluations that are drawn: the first 30, every third after them, the last."""
    return np.unique([*range(1, min(30, last)), *range(min(30, last), last, 3), last])


def _dress(svg: str, label: str) -> str:
    """Named for readers who do not see it, in the colours of the reader's scheme."""
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r"(\d\.\d{2})\d+", r"\1", svg)
    for colour, variable in COLOURS.items():
        svg = svg.replace(colour, variable)
    light, dark = (
        ";".join(re.findall(r"--\w+: #\w+", block))
        for block in re.findall(r":root \{(.*?)\}", STYLE_SHEET.read_text(), re.DOTALL)
    )
    style = f"svg{{color-scheme:light dark;{light}}}@media screen and (prefers-color-scheme:dark){{svg{{{dark}}}}}"
    svg = re.sub(r'(width|height)="([\d.]+)pt"', r'\1="\2"', svg, count=2)
    svg = re.sub(r"<svg", f'<svg role="img" aria-label="{escape(label)}"', svg, count=1)
    svg = re.sub(
        r"(<svg[^>]*>)", lambda head: f"{head[1]}<title>{escape(label)}</title><style>{style}</style>", svg, count=1
    )
    return re.sub(r"\n\s*\n+", "\n", svg).strip() + "\n"
