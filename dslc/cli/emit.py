"""`dslc emit`: a sentence to PyTorch source."""

from __future__ import annotations

from pathlib import Path

import click

from dslc.cli.options import (
    choose_program,
    examples,
    force_option,
    grammar_argument,
    max_tokens_option,
    seed_option,
    start_option,
    terminal_options,
)
from dslc.cli.terminal import Terminal
from dslc.space import compile as compile_space


@click.command(
    "emit",
    short_help="Print the PyTorch source of a sentence.",
    epilog=examples(
        'dslc emit activation "x x identity sigmoid mul"',
        "dslc emit conv_net --sample --seed 7 -o network.py",
    ),
)
@grammar_argument
@click.argument("sentence", required=False)
@click.option("--sample", "is_sampled", is_flag=True, help="A uniform sample instead of a sentence.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Write here instead of printing.")
@force_option
@seed_option
@start_option
@max_tokens_option
@terminal_options
def command(
    terminal: Terminal,
    grammar: str,
    sentence: str | None,
    is_sampled: bool,
    output: Path | None,
    is_forced: bool,
    seed: int,
    start: str | None,
    max_tokens: int | None,
) -> None:
    """Print the PyTorch source of a sentence. It runs without dslc."""
    if (sentence is None) != is_sampled:
        raise click.UsageError('give either a "SENTENCE" or --sample')
    space = compile_space(grammar, start=start, max_tokens=max_tokens)
    terminal.show_diagnostics(space.diagnostics)
    source = choose_program(terminal, space, sentence, seed).source.text
    if output is not None:
        terminal.write_file(output, source, is_forced=is_forced)
        terminal.show_document({"format": "dslc.files/1", "files": [str(output)]})
    else:
        terminal.show(source.rstrip("\n"))
        terminal.show_document({"format": "dslc.files/1", "files": [], "source": source})
