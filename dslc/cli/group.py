"""The `dslc` command itself: finds its commands, and turns whatever ends one into text and an exit code."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from enum import IntEnum
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import click

from dslc.cli.terminal import Terminal
from dslc.diagnostics import Code, Diagnostic, DslcError, Severity

COMMANDS = (
    "new",
    "check",
    "info",
    "compile",
    "sample",
    "parse",
    "emit",
    "draw",
    "search",
    "resume",
    "best",
    "report",
    "compare",
    "tasks",
    "explain",
)
"""Names in the order of a first project; each is the module of that name beside this file."""


class Exit(IntEnum):
    """What the exit code says."""

    DONE = 0
    INPUT_AT_FAULT = 1
    USAGE = 2
    NOTHING_USABLE = 3
    BUG = 70
    INTERRUPTED = 130


class CommandGroup(click.Group):
    """Loads a command's module when it is needed, so that `dslc check` loads nothing of a search."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature is click's
        """Names in the order of a first project."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"dslc.cli.{cmd_name}").command
        assert isinstance(command, click.Command), "a command module names its command `command`"
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments name; an unknown one is refused with the list of those that exist."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean `{near[0]}`? " if near else ""
            ctx.fail(f"there is no command `{args[0]}`: {hint}commands are {', '.join(COMMANDS)}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was named; a reader that leaves early, such as `head`, has what it wanted."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            # Here, since click leaves with 1; nothing more is written, so that Python has nothing to flush at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return Exit.DONE
        return result

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run and leave with an exit code; nothing but a bug shows a traceback."""
        arguments = list(sys.argv[1:] if args is None else args)
        if not standalone_mode:
            return super().main(arguments, prog_name, complete_var, standalone_mode=False, **extra)
        sys.exit(self._run(arguments, prog_name, complete_var, extra))

    def _run(
        self, arguments: list[str], prog_name: str | None, complete_var: str | None, extra: Mapping[str, Any]
    ) -> int:
        terminal = Terminal(is_json=_wants_json(arguments))
        _make_sigterm_an_interrupt()
        try:
            # The arguments go along as the context's object: a search records how it was started.
            options = {"obj": arguments, **extra}
            code = super().main(arguments, prog_name, complete_var, standalone_mode=False, **options)
        except (click.Abort, KeyboardInterrupt):
            terminal.say("interrupted")
            return Exit.INTERRUPTED
        except click.UsageError as error:
            error.show()
            if terminal.is_json:
                terminal.show_failure(_usage_diagnostic(error), on_terminal=False)
            return Exit.USAGE
        except DslcError as error:
            terminal.show_failure(error.diagnostics)
            is_bug = any(diagnostic.code.value.startswith("DSLC9") for diagnostic in error.diagnostics)
            return Exit.BUG if is_bug else Exit.INPUT_AT_FAULT
        except Exception as error:
            terminal.show_failure((_bug_diagnostic(error, arguments),))
            return Exit.BUG
        return code if isinstance(code, int) else Exit.DONE


def _wants_json(arguments: Sequence[str]) -> bool:
    """True if a failure before the options are known has to be told as JSON."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in options or "--format=json" in options or ("--format", "json") in pairwise(options)


def _make_sigterm_an_interrupt() -> None:
    def interrupt(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - the signature of a handler
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, interrupt)


def _usage_diagnostic(error: click.UsageError) -> tuple[Diagnostic, ...]:
    name = error.ctx.command_path if error.ctx else "dslc"
    message = error.format_message().rstrip(".")
    return (Diagnostic(Code.USAGE, Severity.ERROR, message[:1].lower() + message[1:], help=f"see `{name} --help`"),)


def _bug_diagnostic(error: Exception, arguments: Sequence[str]) -> Diagnostic:
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    places = [f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}: {frame.line}" for frame in frames]
    text = " ".join(str(error).split())
    return Diagnostic(
        Code.INTERNAL_ERROR,
        Severity.ERROR,
        f"dslc failed: {type(error).__name__}: {text}",
        help="this is a bug in dslc: please send the command, the grammar file, `dslc --version` and the lines below",
        notes=(f"dslc {' '.join(arguments)}", *places),
    )


def _print_version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:  # noqa: ARG001
    if not value or ctx.resilient_parsing:
        return
    for name, text in version_lines():
        click.echo(f"{name:<7} {text}")
    ctx.exit()


def version_lines() -> list[tuple[str, str]]:
    """Name and version of what matters in a report of a bug; torch is not imported for it."""
    try:
        torch_version = version("torch")
    except PackageNotFoundError:
        torch_version = "not installed"
    count = len(list(Path("/dev").glob("nvidia[0-9]*")))
    device = f"cpu, cuda ({count} NVIDIA device{'s' if count > 1 else ''})" if count else "cpu"
    python = ".".join(map(str, sys.version_info[:3]))
    return [("dslc", version("dslc")), ("python", python), ("torch", torch_version), ("device", device)]


@click.group(
    cls=CommandGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Example, from a grammar to the best network found:
  dslc info conv_net
  dslc search conv_net --task digits --run runs/first
  dslc best runs/first -o network.py

\b
Shell completion:
  bash   eval "$(_DSLC_COMPLETE=bash_source dslc)"   in ~/.bashrc
  zsh    eval "$(_DSLC_COMPLETE=zsh_source dslc)"    in ~/.zshrc
  fish   _DSLC_COMPLETE=fish_source dslc | source    in config.fish

\b
Exit codes: 0 done, 1 input at fault, 2 usage, 3 ran but nothing usable,
70 a bug in dslc, 130 interrupted and saved. NO_COLOR turns colours off.""",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version,
    help="Print the versions of dslc, Python and torch, and the devices.",
)  # fmt: skip
def dslc() -> None:
    """Compile a grammar of neural networks, look at it, and search it.

    GRAMMAR is a .lark file, a space saved by `dslc compile`, or the bare name of a shipped grammar: activation,
    conv_net, rnn_cell, ...
    """
