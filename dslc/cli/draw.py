"""`dslc draw`: a sentence, a grammar or its automaton as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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
from dslc.space import Program, Space
from dslc.space import compile as compile_space

if TYPE_CHECKING:
    from dslc.program.draw import Drawing
    from dslc.search import SearchResult

OF_A_SENTENCE = ("tree", "graph")
OF_A_GRAMMAR = ("automaton", "railroad")


@click.command(
    "draw",
    short_help="Draw a sentence, a grammar or its automaton.",
    epilog=examples(
        'dslc draw activation "x x identity sigmoid mul" -o swish.svg',
        "dslc draw conv_net --seed 7 --what tree -o tree.png",
        "dslc draw rnn_cell --what railroad",
        "dslc draw --best runs/first -o best.svg",
    ),
)
@click.argument("grammar", metavar="[GRAMMAR]", required=False, type=GRAMMAR)
@click.argument("sentence", required=False)
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(path_type=Path, allow_dash=True),
    help="A .svg, .png, .dot or .gv file; - prints SVG. Default: GRAMMAR.svg here.",
)  # fmt: skip
@click.option(
    "--what", type=click.Choice([*OF_A_SENTENCE, *OF_A_GRAMMAR]),
    help="Of a sentence its parse tree or what it computes; of a grammar its token automaton or its syntax diagrams."
    " Default: graph, or tree where the grammar has no target.",
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
    """Draw a sentence as a picture, without one a uniform sample; or the grammar itself.

    Needs no other program: Graphviz's `dot` places the boxes if it is installed, else a copy that comes along.
    """
    drawing: Drawing
    if what in OF_A_GRAMMAR:
        if sentence is not None:
            raise click.UsageError(f"--what {what} shows the grammar: leave the sentence out")
        space = _find_space(terminal, grammar, run, start, max_tokens)
        drawing = space.draw("automaton" if what == "automaton" else "railroad")
    else:
        program = _find_program(terminal, grammar, sentence, run, start, max_tokens, seed)
        space = program.space
        drawing = program.draw("tree" if what == "tree" or (what is None and space.target is None) else "graph")
    if output is None:
        output = Path(f"{run.name if run else space.name}.svg")
    if str(output) == "-":
        terminal.show(drawing.svg)
        terminal.show_document({"format": "dslc.files/1", "files": [], "svg": drawing.svg})
        return
    # Here, since a drawing needs more modules than the other commands.
    from dslc.program.draw.drawing import render_as

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
        return _open_run(grammar, run, start, max_tokens).best.program
    return choose_program(terminal, _find_space(terminal, grammar, run, start, max_tokens), sentence, seed)


def _find_space(
    terminal: Terminal, grammar: str | None, run: Path | None, start: str | None, max_tokens: int | None
) -> Space:
    if run is not None:
        return _open_run(grammar, run, start, max_tokens).space
    if grammar is None:
        raise click.UsageError("give a GRAMMAR, or --best RUN")
    space = compile_space(grammar, start=start, max_tokens=max_tokens)
    terminal.show_diagnostics(space.diagnostics)
    return space


def _open_run(grammar: str | None, run: Path, start: str | None, max_tokens: int | None) -> SearchResult:
    if grammar is not None or start is not None or max_tokens is not None:
        raise click.UsageError("--best RUN brings its own grammar and sentence: leave them out")
    # A run's strategy may be a torch module.
    from dslc.search import open_run

    return open_run(run)
