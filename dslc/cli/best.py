"""`dslc best`: the best program of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dslc.cli.group import Exit
from dslc.cli.options import examples, force_option, run_argument, terminal_options
from dslc.cli.terminal import Terminal
from dslc.diagnostics import Code, Diagnostic, DslcError, Severity


@click.command(
    "best", short_help="Show the best program of a run.", epilog=examples("dslc best runs/first -o network.py")
)
@run_argument
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Write its source here.")
@force_option
@terminal_options
def command(terminal: Terminal, run: Path, output: Path | None, is_forced: bool) -> int:
    """Show the best program of a run, and its PyTorch source where the grammar has a target."""
    from dslc.search.report import report_data
    from dslc.search.stopping import describe_stop

    best: dict[str, Any] | None = report_data(run)["best"]
    if best is None:
        terminal.show_failure((_no_best(run),))
        return Exit.NOTHING_USABLE
    if output is not None:
        if best["source"] is None:
            raise DslcError(
                Diagnostic(
                    Code.NO_TARGET,
                    Severity.ERROR,
                    f"the programs of `{run}` have no source: the grammar names no target",
                    help="leave out -o to see the sentence",
                )
            )
        terminal.write_file(output, best["source"], is_forced=is_forced)
    for line in _best_lines(best, describe_stop(best["stopped_by"])):
        terminal.show(line)
    if output is None and best["source"] is not None:
        terminal.show("\n" + best["source"].rstrip("\n"))
    terminal.show_document(best)
    return Exit.DONE


def _no_best(run: Path) -> Diagnostic:
    return Diagnostic(
        Code.NO_REWARD,
        Severity.ERROR,
        f"no sample of `{run}` has a reward",
        help=f"`dslc report {run}` shows why they failed",
    )


def _best_lines(best: dict[str, Any], stop: str | None) -> list[str]:
    # Samples are numbered with those of the control, so a number can be past the evaluations.
    found = f"sample {best['sample']}; {best['evaluations']} evaluations"
    lines = [
        f"sentence    {best['text']}",
        f"reward      {best['reward']:.6g} {best['metric']}, {found}",
    ]
    if best["test"]:
        lines.append(f"test        {best['test']['value']:.6g} {best['test']['metric']}")
    if best["reference"]:
        lines.append(f"reference   {best['reference']['value']:.6g} {best['reference']['label']}")
    if best["num_parameters"] is not None:
        lines.append(f"parameters  {best['num_parameters']:,}")
    if stop is not None:
        lines.append(f"stopped     {stop}")
    return lines
