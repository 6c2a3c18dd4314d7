"""A comparison as one HTML file, in the style of a run's report, or as one SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from dslc.search.report.page import make_environment

FEW_GROUPS = 6
"""Up to so many groups every pair is shown; of more, each against the one with the best mean."""


def shown_pairs(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The pairs that a table has room for: all, or those with the best group, in which that comes first.

    None where no group has two runs: then nothing is known of how much a difference means.
    """
    groups = data["groups"]
    if all(pair["best"] is None or pair["best"]["low"] is None for pair in data["pairs"]):
        return []
    if len(groups) <= FEW_GROUPS:
        return list(data["pairs"])
    scored = [group for group in groups if group["best"] is not None]
    if not scored:
        return []
    best = max(scored, key=lambda group: group["best"]["mean"])["key"]
    own = [pair for pair in data["pairs"] if best in (pair["first"], pair["second"])]
    return [pair if pair["first"] == best else _turn(pair) for pair in own]


def _turn(pair: Mapping[str, Any]) -> dict[str, Any]:
    """The pair the other way round."""

    def negative(interval: Mapping[str, float | None] | None) -> dict[str, float | None] | None:
        if interval is None or interval["mean"] is None:
            return None
        low, high = interval["low"], interval["high"]
        known = low is not None and high is not None
        return {
            "mean": -interval["mean"],
            "low": -high if known else None,  # type: ignore[operator]
            "high": -low if known else None,  # type: ignore[operator]
        }

    turned = {name: negative(pair[name]) for name in ("best", "late")}
    return {"first": pair["second"], "second": pair["first"], **turned}


def stands_out(interval: Mapping[str, float | None] | None) -> bool:
    """Whether a difference has an interval that does not hold 0.

    Example:
        >>> stands_out({"mean": 0.5, "low": 0.1, "high": 0.9}), stands_out({"mean": 0.5, "low": None, "high": None})
        (True, False)
    """
    if interval is None or interval["low"] is None or interval["high"] is None:
        return False
    return interval["low"] > 0 or interval["high"] < 0


def format_interval(interval: Mapping[str, float | None] | None, *, is_signed: bool = False) -> str:
    """Mean and half width, which Student's intervals have, as exact as that is; a dash for none.

    Example:
        >>> format_interval({"mean": 0.98612, "low": 0.98312, "high": 0.98912})
        '0.9861 ± 0.0030'
        >>> format_interval({"mean": 2.0, "low": None, "high": None}, is_signed=True), format_interval(None)
        ('+2', '–')
    """
    if interval is None or interval["mean"] is None:
        return "–"
    sign = "+" if is_signed else ""
    if interval["low"] is None:
        return f"{interval['mean']:{sign}.4g}"
    half = interval["mean"] - interval["low"]
    if not 1e-6 < half < 1e6:
        return f"{interval['mean']:{sign}.4g} ± {half:.2g}"
    digits = max(1 - math.floor(math.log10(half)), 0)
    return f"{interval['mean']:{sign}.{digits}f} ± {half:.{digits}f}"


def render_comparison(data: Mapping[str, Any]) -> str:
    """HTML of a comparison document."""
    from dslc.search.report.compare_plots import plot_bests, plot_groups

    environment = make_environment()
    environment.filters |= {"interval": format_interval}
    own = files("dslc.search.report")
    has_curves = any(group["curve"] for group in data["groups"])
    return environment.from_string(own.joinpath("compare.html").read_text(encoding="utf-8")).render(
        data=data,
        pairs=shown_pairs(data),
        stands_out=stands_out,
        curves=plot_groups(data) if has_curves else None,
        bests=plot_bests(data) if has_curves else None,
        has_colours=len(data["groups"]) <= FEW_GROUPS,
        style=own.joinpath("report.css").read_text(encoding="utf-8"),
    )
