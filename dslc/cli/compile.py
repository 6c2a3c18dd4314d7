"""`dslc compile`: a grammar to a saved space."""

from __future__ import annotations

from pathlib import Path

import click

from dslc.cli.options import examples, force_option, space_options, terminal_options
from dslc.cli.terminal import Terminal
from dslc.saved_space import SUFFIX, pack_space
from dslc.space import compile as compile_space


@click.command(
    "compile",
    short_help="Save a compiled grammar as one file.",
    epilog=examples("dslc compile conv_net -o space.dslc", "dslc compile rnn_cell --start base_2 -o cell.dslc"),
)
@space_options
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(path_type=Path),
    help="A .dslc file. Default: GRAMMAR.dslc here.",
)  # fmt: skip
@force_option
@terminal_options
def command(
    terminal: Terminal,
    grammar: str,
    start: str | None,
    max_tokens: int | None,
    output: Path | None,
    is_forced: bool,
) -> None:
    """Save a compiled grammar as one file, which every command takes in place of the grammar.

    It holds the automaton, the grammar and its text, and is read without lark. Nothing in it is executed.
    """
    space = compile_space(grammar, start=start, max_tokens=max_tokens)
    if output is None:
        output = Path(f"{space.name}{SUFFIX}")
    if output.suffix != SUFFIX:
        raise click.UsageError(f"`{output}` does not end in {SUFFIX}, by which commands know a saved space")
    terminal.show_diagnostics(space.diagnostics)
    terminal.write_file(output, pack_space(space.compilation), is_forced=is_forced)
    terminal.show_document({"format": "dslc.files/1", "files": [str(output)]})
