"""The pictures of a report: figures of a run as SVG that takes its colours from the page, so dark mode reaches them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from io import StringIO
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

COLOURS = {
    "#010201": "var(--faint)",
    "#010202": "var(--rule)",
    "#010203": "var(--strategy)",
    "#010204": "var(--best)",
    "#010205": "var(--control)",
    "#010206": "var(--violet)",
    "#010207": "var(--red)",
    "#010208": "var(--olive)",
}
"""What matplotlib draws with, and the variable of the page's style sheet that takes its place."""
TEXT, GRID, STRATEGY, BEST, CONTROL, VIOLET, RED, OLIVE = COLOURS
SIZE = (5.0, 3.3)
"""Inches, that is 360 x 238 px: drawn for a narrow screen, so that text stays legible there and grows on a wide one."""
SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 10,
    "text.parse_math": False,
    "text.color": TEXT,
    "axes.labelcolor": TEXT,
    "axes.edgecolor": GRID,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": TEXT,
    "ytick.color": TEXT,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "lines.solid_capstyle": "round",
}
FEW_POINTS = 40
"""Up to so many points each gets a dot."""
Points = Sequence[Mapping[str, Any]]


def plot_curve(data: Mapping[str, Any], axis: str) -> str:
    """SVG of batch mean and best so far, with the control, against `axis`: `evaluations`, or `seconds` of children."""
    curve, control, metric = data["curve"], data["control"], data["task"]["metric"]
    with mpl.rc_context({**SETTINGS, "svg.hashsalt": axis}):
        figure, axes = make_axes("evaluations" if axis == "evaluations" else "child-seconds", metric)
        if control and control["low"] is not None:
            axes.axhspan(control["low"], control["high"], color=CONTROL, alpha=0.16, linewidth=0)
            axes.axhline(control["mean"], color=CONTROL, linewidth=1.2)
            _draw_steps(axes, control["curve"], axis, color=CONTROL, linestyle=(0, (1, 1.5)))
        means = [(point[axis], point["mean"]) for point in curve if point["mean"] is not None]
        marker = "o" if len(means) <= FEW_POINTS else None
        axes.plot(*_columns(means), color=STRATEGY, linewidth=1.5, marker=marker, markersize=2.5)
        _draw_steps(axes, curve, axis, color=BEST, linewidth=1.8)
        _fit_limits(axes, data)
        return embed_figure(figure, f"curve-{axis}", _curve_label(data, axis))


def plot_distribution(data: Mapping[str, Any]) -> str:
    """SVG of how often each arm got which reward, as shares of its scored samples."""
    bins = data["distribution"]
    edges = np.array(bins["edges"])
    with mpl.rc_context({**SETTINGS, "svg.hashsalt": "distribution"}):
        figure, axes = make_axes(data["task"]["metric"], "share of samples")
        for arm, colour, alpha in (("control", CONTROL, 0.3), ("strategy", STRATEGY, 0.3)):
            counts = np.array(bins[arm])
            if counts.sum():
                shares = counts / counts.sum()
                axes.stairs(shares, edges, color=colour, fill=True, alpha=alpha)
                axes.stairs(shares, edges, color=colour, linewidth=1.4)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))
        axes.set_ylim(bottom=0)
        return embed_figure(figure, "distribution", _distribution_label(data))


def plot_diversity(data: Mapping[str, Any]) -> str:
    """SVG of the shares of distinct and of new programs among the strategy's samples, window by window."""
    with mpl.rc_context({**SETTINGS, "svg.hashsalt": "diversity"}):
        figure, axes = make_axes("evaluations", "share of samples")
        parts = ["Line chart of how many of the strategy's samples are distinct and new, window by window."]
        for name, colour in (("unique", STRATEGY), ("new", BEST)):
            points = [(point["evaluations"], point[name]) for point in data["diversity"]]
            axes.plot(*_columns(points), color=colour, linewidth=1.8, marker="o", markersize=2.5)
            parts.append(f"{name.capitalize()}: from {100 * points[0][1]:.0f}% to {100 * points[-1][1]:.0f}%.")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))
        axes.set_ylim(-0.03, 1.05)
        axes.set_xlim(left=0)
        return embed_figure(figure, "diversity", " ".join(parts))


def plot_entropy(data: Mapping[str, Any]) -> str | None:
    """SVG of the policy's entropy, window by window; None if the strategy tells none."""
    points = [(point["evaluations"], point["entropy"]) for point in data["diversity"] if point["entropy"] is not None]
    if not points:
        return None
    with mpl.rc_context({**SETTINGS, "svg.hashsalt": "entropy"}):
        figure, axes = make_axes("evaluations", "entropy, nats a token")
        axes.plot(*_columns(points), color=STRATEGY, linewidth=1.8, marker="o", markersize=2.5)
        axes.set_ylim(bottom=0)
        axes.set_xlim(left=0)
        label = f"Line chart of the policy's entropy, from {points[0][1]:.4g} to {points[-1][1]:.4g} nats a token."
        return embed_figure(figure, "entropy", label)


def make_axes(x_label: str, y_label: str) -> tuple[Figure, Axes]:
    """A figure of one plot, without background."""
    figure = Figure(figsize=SIZE, layout="constrained")
    figure.patch.set_visible(False)
    axes = figure.add_subplot()
    axes.patch.set_visible(False)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=x_label == "evaluations"))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    return figure, axes


def _draw_steps(axes: Axes, curve: Points, axis: str, **style: Any) -> None:
    points = [(point[axis], point["best"]) for point in curve if point["best"] is not None]
    axes.step(*_columns(points), where="post", **style)


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _fit_limits(axes: Axes, data: Mapping[str, Any]) -> None:
    """Leave out the lowest few means: one batch of broken programs must not flatten the rest of the picture."""
    control = data["control"] or {}
    means = [point["mean"] for point in data["curve"] if point["mean"] is not None]
    floors = [float(np.quantile(means, 0.03))] if means else []
    values = [point["best"] for point in (*data["curve"], *control.get("curve", ())) if point["best"] is not None]
    values += [value for value in (control.get("low"), control.get("high")) if value is not None]
    if values:
        low, high = min(floors + values), max(means + values)
        room = 0.06 * (high - low) or 0.5
        axes.set_ylim(low - room, high + room)
    axes.set_xlim(left=0)


def _curve_label(data: Mapping[str, Any], axis: str) -> str:
    metric, curve, control = data["task"]["metric"], data["curve"], data["control"]
    means = [point["mean"] for point in curve if point["mean"] is not None]
    parts = [f"Line chart of {metric} against {'evaluations' if axis == 'evaluations' else 'child-seconds'}."]
    if means:
        parts.append(f"The mean of a batch goes from {means[0]:.4g} to {means[-1]:.4g}.")
        parts.append(f"The best so far reaches {curve[-1]['best']:.4g}.")
    if control and control["mean"] is not None:
        parts.append(
            f"The uniform control has mean {control['mean']:.4g}, 10% to 90% of its samples lie between"
            f" {control['low']:.4g} and {control['high']:.4g}, its best is {control['best']:.4g}."
        )
    return " ".join(parts)


def _distribution_label(data: Mapping[str, Any]) -> str:
    bins = data["distribution"]
    parts = [f"Histogram of {data['task']['metric']} from {bins['edges'][0]:.4g} to {bins['edges'][-1]:.4g}."]
    for arm in ("strategy", "control"):
        counts = bins[arm]
        if sum(counts):
            place = max(range(len(counts)), key=counts.__getitem__)
            low, high = bins["edges"][place], bins["edges"][place + 1]
            parts.append(
                f"Most common for the {arm}: {low:.4g} to {high:.4g}, {counts[place]} of {sum(counts)} samples."
            )
    return " ".join(parts)


def embed_figure(figure: Figure, name: str, label: str) -> str:
    """The figure as SVG for a page: named for readers who do not see it, its ids its own, no address in it."""
    text = StringIO()
    figure.savefig(text, format="svg")
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.DOTALL)
    _, view_box = re.search(r'<svg[^>]*?( viewBox="([^"]*)")', svg).groups()  # type: ignore[union-attr]
    head = f'<svg class="plot" role="img" aria-label="{escape(label)}" viewBox="{view_box}">'
    svg = re.sub(r"<svg[^>]*>", lambda _: head, svg, count=1)
    svg = svg.replace("xlink:href", "href").replace("*{", ".plot *{")  # matplotlib's rule would reach the whole page
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'"#(?=\w)', f'"#{name}-', svg)
    svg = re.sub(r"url\(#", f"url(#{name}-", svg)
    svg = re.sub(r"'DejaVu Sans'[^;\"]*", "var(--sans)", svg)
    for colour, variable in COLOURS.items():
        svg = svg.replace(colour, variable)
    return re.sub(r"\n\s*\n+", "\n", svg).strip()
