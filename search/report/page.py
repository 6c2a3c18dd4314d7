"""One HTML file that says what a run came to: no outside address, readable on a phone, on paper and in the dark."""

from __future__ import annotations

import time
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.search.checkpoints import write_file
from dslc.search.report.data import report_data
from dslc.search.result import SearchResult

if TYPE_CHECKING:
    from jinja2 import Environment

LONGEST_TEXT = 300
"""Characters of a sentence or a message in a table."""
LONGEST_SOURCE = 200_000
"""Characters of the best sentence and of its source; past it a page is no place to read them."""
DRAWINGS: tuple[Literal["graph"], Literal["tree"]] = ("graph", "tree")
"""What is drawn of the best program: the first of these that it has."""
LARGEST_DRAWING = 1_000_000
"""Characters of the SVG of the best program."""


def write_report(run_dir: Path | str, *, data: Mapping[str, Any] | None = None, pause: float = 5.0) -> Path:
    """Path of the page, `report.html` in the run folder, written anew; works while the run goes on.

    The page of a run that is going loads itself anew in a browser.

    Args:
        run_dir: the run folder.
        data: the run's `report_data`, if it is at hand.
        pause: seconds until the page of a run that is going looks for a newer one.

    Raises:
        DslcError: if the folder is no run, a newer dslc wrote it, or it cannot be written to.
    """
    run_dir = Path(run_dir)
    data = report_data(run_dir) if data is None else data
    drawing = draw_best(run_dir, data["best"]["tokens"]) if data["best"] else None
    path = run_dir / "report.html"
    try:
        write_file(path, render_page(data, drawing, pause).encode())
    except OSError as error:
        message = f"cannot write `{path}`: {error.strerror}"
        help_text = "make the run folder writable, or report on a copy of it"
        raise DslcError(Diagnostic(Code.CANNOT_WRITE, Severity.ERROR, message, help=help_text)) from error
    return path


def draw_best(run_dir: Path, tokens: list[int]) -> str | None:
    """SVG of a program of the run: its graph, its tree where it has no graph, None where neither can be drawn."""
    for what in DRAWINGS:
        try:
            svg: str = SearchResult(run_dir).space.decode(tokens).draw(what).svg
        except DslcError:
            continue
        if len(svg) <= LARGEST_DRAWING:
            return svg.replace(' xmlns="http://www.w3.org/2000/svg"', "")  # HTML needs no namespace
    return None


def render_page(data: Mapping[str, Any], drawing: str | None, pause: float = 5.0) -> str:
    """HTML of a report document; `drawing` is SVG of the best program, `pause` as in `write_report`."""
    # Plotting takes a second to import: only who writes a page waits for it.
    from dslc.search.report.heat_map import draw_shares
    from dslc.search.report.plots import plot_curve, plot_distribution, plot_diversity, plot_entropy
    from dslc.search.stopping import describe_stop

    plots: dict[str, str | None] = {}
    if data["curve"]:
        plots = {"evaluations": plot_curve(data, "evaluations"), "seconds": plot_curve(data, "seconds")}
    if data["distribution"]:
        plots["distribution"] = plot_distribution(data)
    if data["diversity"]:
        plots["diversity"], plots["entropy"] = plot_diversity(data), plot_entropy(data)
    tokens = data["tokens"] or {"slots": [], "evaluations": []}
    environment = make_environment()
    own = files("dslc.search.report")
    template = environment.from_string(own.joinpath("report.html").read_text(encoding="utf-8"))
    return template.render(
        data=data,
        stop=describe_stop(data["stopped_by"]),
        name=Path(data["grammar"]["file"]).stem,
        plots=plots,
        heat_maps=[(slot, draw_shares(slot, tokens["evaluations"])) for slot in tokens["slots"]],
        live={"written": time.time(), "pause": pause} if data["status"] == "running" else None,
        drawing=drawing,
        style=own.joinpath("report.css").read_text(encoding="utf-8"),
        script=own.joinpath("report.js").read_text(encoding="utf-8"),
    )


def make_environment() -> Environment:
    """Of templates: all text is escaped, an unknown name is an error, figures are written as people read them."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"figure": format_figure, "duration": format_duration, "shorten": shorten, "cut": cut_source}
    return environment


def format_figure(value: float | None) -> str:
    """A number as people read it: five significant digits, thousands apart, a dash for none.

    Example:
        >>> [format_figure(v) for v in (0.9861111, 48210, None, 1234567.0, 1e-7)]
        ['0.98611', '48,210', '–', '1,234,567', '1e-07']
    """
    if value is None:
        return "–"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.5g}"


def format_duration(seconds: float | None) -> str:
    """A duration in the two units that matter.

    Example:
        >>> [format_duration(s) for s in (0.0312, 7.25, 192, 7325, None)]
        ['0.031 s', '7.2 s', '3 min 12 s', '2 h 2 min', '–']
    """
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds) // 60
    return f"{minutes} min {round(seconds) % 60} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def shorten(text: str) -> str:
    """The text, or its beginning if it is too long for a table.

    Example:
        >>> len(shorten("a" * 1000))
        300
    """
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 2] + " …"


def cut_source(text: str) -> str:
    """The text, or its beginning with a remark if no page should hold all of it."""
    if len(text) <= LONGEST_SOURCE:
        return text
    return f"{text[:LONGEST_SOURCE]}\n… {len(text) - LONGEST_SOURCE:,} more characters"
