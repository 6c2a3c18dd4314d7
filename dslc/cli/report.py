"""`dslc report`: what a run came to, as one page."""

from __future__ import annotations

from pathlib import Path

import click

from dslc.cli.options import examples, run_argument, terminal_options
from dslc.cli.terminal import Terminal


@click.command(
    "report",
    short_help="Write the page of a run.",
    epilog=examples("dslc report runs/first", "dslc report runs/first --json"),
)
@run_argument
@terminal_options
def command(terminal: Terminal, run: Path) -> None:
    """Write the page of a run, RUN/report.html, one file that needs no network; works while the search goes on.

    With --json its figures are printed instead, and no page is written.
    """
    # Plots and templates.
    from dslc.search.report import report_data, write_report

    if terminal.is_json:
        terminal.show_document(report_data(run))
    else:
        terminal.show(str(write_report(run)))
