"""`dslc compare`: several runs side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from dslc.cli.options import examples, force_option, terminal_options
from dslc.cli.terminal import Terminal


@click.command(
    "compare",
    short_help="Compare runs, with intervals over their seeds.",
    epilog=examples("dslc compare runs/pg-* runs/random-*", "dslc compare runs/* -o comparison.html"),
)
@click.argument("runs", metavar="RUN...", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(path_type=Path),
    help="Write a page (.html) or a picture (.svg) here too.",
)  # fmt: skip
@click.option("--unfinished", is_flag=True, help="Count runs that have not finished too, as they stand.")
@force_option
@terminal_options
def command(terminal: Terminal, runs: tuple[Path, ...], output: Path | None, unfinished: bool, is_forced: bool) -> None:
    """Compare runs of one metric: best reward, mean of the last 100 samples, control, failures, child-seconds.

    Runs that differ by their seed alone are one group; means have an interval of 95% over the seeds.
    """
    kind = None if output is None else output.suffix
    if kind not in (None, ".html", ".svg"):
        raise click.UsageError(f"-o takes a file .html or .svg, not `{output}`")
    from dslc.search.compare import compare_runs

    data = compare_runs(runs, with_unfinished=unfinished)
    for part in _tables(data):
        terminal.show_table(part)
    for note in data["notes"]:
        terminal.say(f"note: {note}")
    if output is not None:
        terminal.write_file(output, _render(data, str(kind)), is_forced=is_forced)
    terminal.show_document(data)


def _render(data: Mapping[str, Any], kind: str) -> str:
    if kind == ".svg":
        from dslc.search.report.compare_plots import draw_comparison

        return draw_comparison(data)
    from dslc.search.report.compare_page import render_comparison

    return render_comparison(data)


def _tables(data: Mapping[str, Any]) -> list[Any]:
    """What is compared, the groups, and their differences, each for 80 columns."""
    # Most commands print no table.
    from rich.table import Table
    from rich.text import Text

    from dslc.search.report.compare_page import format_interval, shown_pairs, stands_out

    unit = f" ({data['unit']})" if data["unit"] else ""
    legend = Table.grid(padding=(0, 2))
    for group in data["groups"]:
        legend.add_row(group["key"], Text(group["name"]))
    groups = _make_table("", "runs", "best", "last 100", "control", "failed", "child-s")
    for group in data["groups"]:
        control, seconds, total = group["control"], group["child_seconds"], len(group["runs"])
        groups.add_row(
            group["key"],
            str(total) if group["counted"] == total else f"{group['counted']} of {total}",
            format_interval(group["best"]),
            format_interval(group["late"]),
            "–" if control is None else f"{control['mean']:.4g}",
            str(group["failed"]),
            "–" if seconds is None else f"{seconds:.3g}",
        )
    parts = [Text(f"{data['metric']}{unit}, ± half the 95% interval over seeds\n"), legend, Text(""), groups]
    pairs = shown_pairs(data)
    if pairs:
        differences = _make_table("difference", "best", "last 100")
        is_marked = False
        for pair in pairs:
            texts = []
            for figure in (pair["best"], pair["late"]):
                mark = " *" if stands_out(figure) else "  "
                is_marked = is_marked or stands_out(figure)
                texts.append(format_interval(figure, is_signed=True) + mark)
            differences.add_row(f"{pair['first']} − {pair['second']}", *texts)
        parts += [Text(""), differences]
        remarks = ["* the interval does not hold 0"] if is_marked else []
        if len(pairs) < len(data["pairs"]):
            remarks.append("only differences from the best group are shown")
        if len(pairs) > 1 and is_marked:
            remarks.append(f"{len(pairs)} pairs: one in 20 stands out by luck")
        parts += [Text("; ".join(remarks))] if remarks else []
    return parts


def _make_table(first: str, *others: str) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table
