"""Options and arguments that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from dslc.automaton.tuning import read_shares
from dslc.cli.terminal import Terminal
from dslc.grammars import grammar_names
from dslc.space import Program, Space

Function = Callable[..., Any]


class GrammarFile(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of click only
    """A grammar file or a shipped grammar's bare name; the shell completes both."""

    name = "grammar"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """Shipped names that begin so, and files."""
        names = [CompletionItem(name, help="shipped") for name in grammar_names() if name.startswith(incomplete)]
        return [*names, CompletionItem(incomplete, type="file")]


GRAMMAR = GrammarFile()

grammar_argument = click.argument("grammar", metavar="GRAMMAR", type=GRAMMAR)
run_argument = click.argument("run", metavar="RUN", type=click.Path(path_type=Path))

start_option = click.option("--start", metavar="NAME", help="Start symbol. Default: the first that the file names.")
max_tokens_option = click.option(
    "--max-tokens", metavar="N", type=click.IntRange(min=0), help="Most tokens in a sentence. Default: the file's own."
)
seed_option = click.option(
    "--seed", metavar="N", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of everything random."
)
force_option = click.option("--force", "is_forced", is_flag=True, help="Replace what exists.")


def space_options(function: Function) -> Function:
    """GRAMMAR, --start and --max-tokens."""
    return grammar_argument(start_option(max_tokens_option(function)))


def worker_options(function: Function) -> Function:
    """--workers, --child-seconds, --child-memory and --ray; None where an option is not given."""
    options = (
        click.option(
            "--workers", metavar="N", type=click.IntRange(min=0),
            help="Run children in N processes of their own; the samples are the same. Default: 0, in this process.",
        ),
        click.option("--child-seconds", metavar="S", type=float, help="End a child after S seconds, as failed."),
        click.option(
            "--child-memory", metavar="MB", type=int, help="End a child whose process uses more than MB; the same."
        ),
        click.option(
            "--ray", metavar="ADDRESS", help="Run the workers on a Ray cluster, or with `local` on one of this machine."
        ),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def start_table_options(function: Function) -> Function:
    """--start-table, --target-length and --target-share; the function gets the shares as one text."""

    @click.option(
        "--start-table", type=click.Choice(["projected", "local"]), default="projected", show_default=True,
        help="Where a fresh policy starts: nearest to even lengths of whole sentences, or each part's length even.",
    )  # fmt: skip
    @click.option(
        "--target-length", metavar="TOKENS", type=click.FloatRange(min=0, min_open=True),
        help="Tune the start to this expected number of tokens.",
    )  # fmt: skip
    @click.option(
        "--target-share", "target_shares", metavar="NAME=SHARE", multiple=True,
        help="Tune the start to this share of a token among those of a sentence, by its label, text or terminal. Can "
        "be repeated.",
    )  # fmt: skip
    @wraps(function)
    def run(*args: Any, target_shares: tuple[str, ...], **options: Any) -> Any:
        text = ",".join(target_shares)
        try:
            read_shares(text)
        except ValueError:
            raise click.UsageError(f"--target-share takes NAME=SHARE, such as add=0.1, not `{text}`") from None
        return function(*args, target_shares=text, **options)

    return run


def terminal_options(function: Function) -> Function:
    """--json and --quiet; the function gets a Terminal as its first argument."""

    @click.option("--json", "is_json", is_flag=True, help="Print one JSON document on stdout, all else on stderr.")
    @click.option("-q", "--quiet", "is_quiet", is_flag=True, help="Print results and errors only.")
    @wraps(function)
    def run(*args: Any, is_json: bool, is_quiet: bool, **options: Any) -> Any:
        return function(Terminal(is_json, is_quiet), *args, **options)

    return run


def examples(*lines: str) -> str:
    """The epilog of a command's help.

    Example:
        >>> print(examples("dslc info conv_net").replace(chr(8), ""))
        <BLANKLINE>
        Example:
          dslc info conv_net
    """
    return "\n".join(["\b", "Example:" if len(lines) == 1 else "Examples:", *(f"  {line}" for line in lines)])


def choose_program(terminal: Terminal, space: Space, sentence: str | None, seed: int) -> Program:
    """The program of a sentence, or without one a uniform sample, whose seed and sentence are said."""
    if sentence is not None:
        return space.parse(sentence)
    program = space.sample(seed=seed)
    terminal.say(f"seed {seed}: {program.text}")
    return program
