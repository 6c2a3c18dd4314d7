"""The pictures of a comparison: the best so far of each group with a band over its seeds, and the best of every run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from dslc.search.report.plots import (
    BEST,
    COLOURS,
    CONTROL,
    GRID,
    OLIVE,
    RED,
    SETTINGS,
    SIZE,
    STRATEGY,
    TEXT,
    VIOLET,
    embed_figure,
)

GROUP_COLOURS = (STRATEGY, CONTROL, BEST, VIOLET, RED, OLIVE)
"""Of the groups, in their order, as long as they share one plot."""
LIGHT = ("#56606b", "#d5dbe1", "#2e6fb7", "#16775a", "#b06412", "#7a48ab", "#b03a5b", "#6f6a12")
"""Colours of a picture that stands alone, in the order of `COLOURS`."""
COLUMNS = 3
"""Small plots beside one another where there are more groups than colours."""
Group = Mapping[str, Any]


def plot_groups(data: Mapping[str, Any]) -> str:
    """SVG of the best so far of each group, for a page."""
    with mpl.rc_context({**SETTINGS, "svg.hashsalt": "groups"}):
        figure = Figure(figsize=(SIZE[0], _curves_height(data["groups"])), layout="constrained")
        figure.patch.set_visible(False)
        _draw_curves(figure, data)
        return embed_figure(figure, "groups", _curves_label(data))


def plot_bests(data: Mapping[str, Any]) -> str:
    """SVG of the best reward of every run, with the mean of each group and its interval, for a page."""
    with mpl.rc_context({**SETTINGS, "svg.hashsalt": "bests"}):
        figure = Figure(figsize=(SIZE[0], _bests_height(data["groups"])), layout="constrained")
        figure.patch.set_visible(False)
        _draw_bests(figure, data, [group["key"] for group in data["groups"]])
        return embed_figure(figure, "bests", _bests_label(data))


def draw_comparison(data: Mapping[str, Any]) -> str:
    """Both pictures as one SVG file that stands alone, in the colours of a light page."""
    groups = data["groups"]
    heights = [_curves_height(groups), _bests_height(groups)]
    with mpl.rc_context({**SETTINGS, "svg.hashsalt": "comparison"}):
        figure = Figure(figsize=(SIZE[0] * 1.4, sum(heights)), layout="constrained")
        parts: list[SubFigure] = list(figure.subfigures(2, 1, squeeze=False, height_ratios=heights).flat)
        _draw_curves(parts[0], data)
        _draw_bests(parts[1], data, [f"{group['key']}  {_cut(group['name'])}" for group in groups])
        text = StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    svg = text.getvalue()
    for colour, light in zip(COLOURS, LIGHT, strict=True):
        svg = svg.replace(colour, light)
    return svg


def _curves_height(groups: Sequence[Group]) -> float:
    return SIZE[1] if len(groups) <= len(GROUP_COLOURS) else 0.6 + 1.15 * -(-len(groups) // COLUMNS)


def _bests_height(groups: Sequence[Group]) -> float:
    return 0.8 + 0.24 * len(groups)


def _cut(name: str) -> str:
    return name if len(name) <= 32 else name[:31] + "…"


def _draw_curves(figure: Figure | SubFigure, data: Mapping[str, Any]) -> None:
    groups = data["groups"]
    if len(groups) <= len(GROUP_COLOURS):
        axes = figure.add_subplot()
        for group, colour in zip(groups, GROUP_COLOURS, strict=False):
            _draw_group(axes, group, colour)
        _label_ends(axes, groups)
        axes.set_xlabel("evaluations")
        axes.set_ylabel(f"best {data['metric']}")
        every = [axes]
    else:  # one plot a group, with the others' means behind it
        every = []
        rows = -(-len(groups) // COLUMNS)
        for place, group in enumerate(groups):
            axes = figure.add_subplot(rows, COLUMNS, place + 1)
            for other in groups:
                axes.plot(*_means(other), color=GRID, linewidth=0.8)
            _draw_group(axes, group, STRATEGY)
            axes.set_title(group["key"], loc="left", fontsize=10, color=TEXT, pad=2)
            axes.tick_params(labelsize=9, labelleft=place % COLUMNS == 0, labelbottom=place + COLUMNS >= len(groups))
            every.append(axes)
        figure.supxlabel("evaluations", fontsize=10, color=TEXT)
        figure.supylabel(f"best {data['metric']}", fontsize=10, color=TEXT)
    low, high = _limits(groups)
    for axes in every:
        axes.patch.set_visible(False)
        axes.set_xlim(left=0)
        axes.set_ylim(low, high)
        bins = 5 if len(every) == 1 else 3
        axes.xaxis.set_major_locator(MaxNLocator(bins, steps=[1, 2, 5, 10], integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(bins, steps=[1, 2, 5, 10]))


def _draw_group(axes: Axes, group: Group, colour: str) -> None:
    curve = group["curve"]
    ends = [point["evaluations"] for point in curve]
    if group["counted"] > 1:
        low, high = [point["low"] for point in curve], [point["high"] for point in curve]
        axes.fill_between(ends, low, high, step="post", color=colour, alpha=0.16, linewidth=0)
    axes.step(*_means(group), where="post", color=colour, linewidth=1.8)


def _means(group: Group) -> tuple[list[int], list[float]]:
    return [point["evaluations"] for point in group["curve"]], [point["mean"] for point in group["curve"]]


def _label_ends(axes: Axes, groups: Sequence[Group]) -> None:
    """Each group's letter at the end of its line, no two on one another."""
    ends = [(group["curve"][-1], group["key"], colour) for group, colour in zip(groups, GROUP_COLOURS, strict=False)
            if group["curve"]]  # fmt: skip
    low, high = _limits(groups)
    room, last = 0.055 * (high - low), float("-inf")
    for point, key, colour in sorted(ends, key=lambda end: end[0]["mean"]):
        last = max(point["mean"], last + room)
        axes.annotate(
            key, (point["evaluations"], last), xytext=(4, 0), textcoords="offset points", va="center", color=colour,
            fontweight="bold", annotation_clip=False,
        )  # fmt: skip


def _limits(groups: Sequence[Group]) -> tuple[float, float]:
    """What the curves span, without the first twentieth of them where they are still at a blind guess."""
    values = [
        point[name] for group in groups for point in group["curve"][len(group["curve"]) // 20 :]
        for name in ("low", "mean", "high")
    ]  # fmt: skip
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    room = 0.06 * (high - low) or 0.5
    return low - room, high + room


def _draw_bests(figure: Figure | SubFigure, data: Mapping[str, Any], labels: Sequence[str]) -> None:
    groups = data["groups"]
    axes = figure.add_subplot()
    axes.patch.set_visible(False)
    is_one_plot = len(groups) <= len(GROUP_COLOURS)
    for place, group in enumerate(groups):
        colour = GROUP_COLOURS[place] if is_one_plot else STRATEGY
        bests = [run["best"] for run in group["runs"] if run["counted"]]
        axes.plot(bests, [place] * len(bests), "o", color=colour, alpha=0.4, markersize=4.5, markeredgewidth=0)
        if bests and group["best"]["low"] is not None:
            axes.hlines(place, group["best"]["low"], group["best"]["high"], color=colour, linewidth=1.8)
        if bests:
            axes.plot([group["best"]["mean"]], [place], "|", color=colour, markersize=11, markeredgewidth=2)
    axes.set_yticks(range(len(groups)), labels)
    axes.set_ylim(len(groups) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", visible=True)
    axes.set_xlabel(f"best {data['metric']}")
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))


def _curves_label(data: Mapping[str, Any]) -> str:
    parts = [f"Line chart of the best {data['metric']} so far against evaluations, the mean over the runs of a group."]
    for group in data["groups"]:
        if group["curve"]:
            end = group["curve"][-1]
            parts.append(
                f"{group['key']}, {group['name']}: {group['curve'][0]['mean']:.4g} to {end['mean']:.4g} after"
                f" {end['evaluations']}."
            )
    return " ".join(parts)


def _bests_label(data: Mapping[str, Any]) -> str:
    parts = [f"Dot plot of the best {data['metric']} of every run, a row a group."]
    for group in data["groups"]:
        bests = [run["best"] for run in group["runs"] if run["counted"]]
        if bests:
            parts.append(f"{group['key']}: {len(bests)} runs from {min(bests):.4g} to {max(bests):.4g}.")
    return " ".join(parts)
