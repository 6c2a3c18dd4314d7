"""`dslc sample`: random sentences of a space, or of a trained policy."""

from __future__ import annotations

from pathlib import Path

import click

from dslc.cli.options import GRAMMAR, examples, max_tokens_option, seed_option, start_option, terminal_options
from dslc.cli.terminal import Terminal
from dslc.describe import describe_samples
from dslc.space import Lengths
from dslc.space import compile as compile_space


@click.command(
    "sample",
    short_help="Print random sentences.",
    epilog=examples("dslc sample conv_net -n 3", "dslc sample --policy runs/first -n 3"),
)
@click.argument("grammar", metavar="[GRAMMAR]", required=False, type=GRAMMAR)
@click.option("-n", "count", metavar="N", type=click.IntRange(min=0), default=10, show_default=True, help="How many.")
@click.option(
    "--lengths", type=click.Choice(["uniform", "even"]), default="uniform", show_default=True,
    help="`uniform`: every sentence equally likely. `even`: every length is, then every sentence of that length.",
)  # fmt: skip
@click.option(
    "--policy",
    "run",
    metavar="RUN",
    type=click.Path(path_type=Path),
    help="Sample the trained policy of a run instead.",
)
@start_option
@max_tokens_option
@seed_option
@terminal_options
def command(
    terminal: Terminal,
    grammar: str | None,
    count: int,
    lengths: str,
    run: Path | None,
    start: str | None,
    max_tokens: int | None,
    seed: int,
) -> None:
    """Print random sentences, one a line: exactly uniform, or from a trained policy."""
    if run is not None:
        if grammar is not None or start is not None or max_tokens is not None:
            raise click.UsageError("--policy RUN brings its own grammar, start and budget: leave them out")
        # A policy is a torch module.
        from dslc.search import open_run

        result = open_run(run)
        space, candidates = result.space, result.ask_policy(count, seed=seed)
    elif grammar is None:
        raise click.UsageError("give a GRAMMAR, or --policy RUN")
    else:
        space = compile_space(grammar, start=start, max_tokens=max_tokens)
    terminal.show_diagnostics(space.diagnostics)
    if run is None:
        how: Lengths = "even" if lengths == "even" else "uniform"
        document = describe_samples(space, space.samples(count, seed=seed, lengths=how), seed=seed, lengths=how)
    else:
        programs = [space.decode(candidate.tokens) for candidate in candidates]
        document = describe_samples(space, programs, seed=seed, log_probs=[c.log_prob for c in candidates])
    for sample in document["samples"]:
        terminal.show(sample["text"])
    terminal.show_document(document)
    terminal.say(f"seed {seed}")
