"""`dslc draw`: a sentence as a picture."""

from __future__ import annotations

from pathlib import Path

import click

from dslc.cli.options import (
    GRAMMAR,
    choose_program,
    examples,
    force_option,
    max_tokens_option,
    seed_option,
    start_option,
    terminal_options,
)
from dslc.cli.terminal import Terminal
from dslc.space import Program
from dslc.space import compile as compile_space


@click.command(
    "draw",
    short_help="Draw a sentence as a picture.",
    epilog=examples(
        'dslc draw activation "x x identity sigmoid mul" -o swish.svg',
        "dslc draw conv_net --seed 7 --what tree",
        "dslc draw --best runs/first -o best.svg",
    ),
)
@click.argument("grammar", metavar="[GRAMMAR]", required=False, type=GRAMMAR)
@click.argument("sentence", required=False)
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(path_type=Path, allow_dash=True),
    help="A .svg, .dot or .gv file; - prints SVG. Default: GRAMMAR.svg here.",
)  # fmt: skip
@click.option(
    "--what", type=click.Choice(["tree", "graph"]),
    help="The parse tree, or the network. Default: graph where the grammar has a target.",
)  # fmt: skip
@click.option(
    "--best", "run", metavar="RUN", type=click.Path(path_type=Path), help="The best program of a run instead."
)
@force_option
@start_option
@max_tokens_option
@seed_option
@terminal_options
def command(
    terminal: Terminal,
    grammar: str | None,
    sentence: str | None,
    output: Path | None,
    what: str | None,
    run: Path | None,
    is_forced: bool,
    start: str | None,
    max_tokens: int | None,
    seed: int,
) -> None:
    """Draw a sentence as a picture; without a sentence, a uniform sample.

    Needs no other program: Graphviz's `dot` places the boxes if it is installed, else a copy that comes along.
    """
    program = _find_program(terminal, grammar, sentence, run, start, max_tokens, seed)
    if output is None:
        output = Path(f"{run.name if run else program.space.name}.svg")
    # Here, since a drawing needs more modules than the other commands.
    from dslc.program.draw.drawing import render_as

    is_tree = what == "tree" or (what is None and program.space.target is None)
    drawing = program.draw("tree" if is_tree else "graph")
    if str(output) == "-":
        terminal.show(drawing.svg)
        terminal.show_document({"format": "dslc.files/1", "files": [], "svg": drawing.svg})
        return
    terminal.write_file(output, render_as(drawing, output), is_forced=is_forced)
    terminal.show_document({"format": "dslc.files/1", "files": [str(output)]})


def _find_program(
    terminal: Terminal,
    grammar: str | None,
    sentence: str | None,
    run: Path | None,
    start: str | None,
    max_tokens: int | None,
    seed: int,
) -> Program:
    if run is not None:
        if grammar is not None or start is not None or max_tokens is not None:
            raise click.UsageError("--best RUN brings its own grammar and sentence: leave them out")
        # A run's strategy may be a torch module.
        from dslc.search import open_run

        return open_run(run).best.program
    if grammar is None:
        raise click.UsageError("give a GRAMMAR, or --best RUN")
    space = compile_space(grammar, start=start, max_tokens=max_tokens)
    terminal.show_diagnostics(space.diagnostics)
    return choose_program(terminal, space, sentence, seed)
