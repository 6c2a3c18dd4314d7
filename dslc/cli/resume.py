"""`dslc resume`: go on with a run that stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dslc.cli.options import examples, run_argument, terminal_options, worker_options
from dslc.cli.progress import open_progress
from dslc.cli.search import show_result
from dslc.cli.terminal import Terminal


@click.command("resume", short_help="Go on with a search that stopped.", epilog=examples("dslc resume runs/first"))
@run_argument
@worker_options
@terminal_options
def command(terminal: Terminal, run: Path, **settings: Any) -> int:
    """Go on with a search that was interrupted or crashed, as if it had never stopped.

    Grammar, task and settings are the run's own; only where children run and what they may use can be changed. A run
    that has ended is shown as it is.
    """
    # The first import of torch.
    from dslc.search import resume

    with open_progress(terminal) as callback:
        given = {name: value for name, value in settings.items() if value is not None}
        result = resume(run, callbacks=[callback] if callback else [], **given)
    return show_result(terminal, result)
