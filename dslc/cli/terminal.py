"""What a command says and where: results on stdout, everything else on stderr, with `--json` one document on stdout."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity, render_json, render_text
from dslc.write_file import cannot_write, write_file


@dataclass(frozen=True, slots=True)
class Terminal:
    """The two streams of one command, as its options want them used."""

    is_json: bool = False
    is_quiet: bool = False

    def say(self, text: str) -> None:
        """A line for a person, on stderr; nothing with --quiet."""
        if not self.is_quiet:
            click.echo(text, err=True)

    def show(self, text: str) -> None:
        """A result for a person, on stdout; nothing with --json, where the document is the result."""
        if not self.is_json:
            click.echo(text)

    def show_table(self, table: Any) -> None:
        """A rich table or group as a result: in colour on a terminal, plain and 80 columns wide elsewhere."""
        if self.is_json:
            return
        # Most commands print no table.
        from rich.console import Console

        console = Console(file=sys.stdout, highlight=False)
        with console.capture() as captured:
            console.print(table)
        # Tables fill their lines with blanks, which nobody wants in a file.
        click.echo("\n".join(line.rstrip() for line in captured.get().rstrip().split("\n")))

    def show_document(self, document: Mapping[str, Any]) -> None:
        """The one document of --json, on stdout; nothing without."""
        if self.is_json:
            click.echo(document_text(document, is_indented=sys.stdout.isatty()))

    def show_diagnostics(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Warnings and notes on stderr; errors too, which --quiet does not hide."""
        shown = [d for d in diagnostics if not self.is_quiet or d.severity is Severity.ERROR]
        if shown:
            click.echo(render_text(shown, color=uses_color(sys.stderr)).rstrip("\n"), err=True)

    def show_failure(self, diagnostics: Iterable[Diagnostic], *, on_terminal: bool = True) -> None:
        """What made the command fail: on stderr, or with --json as the document."""
        diagnostics = tuple(diagnostics)
        if self.is_json:
            files = list(dict.fromkeys(d.span.file.name for d in diagnostics if d.span is not None))
            self.show_document(render_json(diagnostics, files))
        elif on_terminal:
            self.show_diagnostics(diagnostics)

    def refuse_existing(self, path: Path, *, is_forced: bool) -> None:
        """Nothing, or DslcError (DSLC681) if the file exists and is not to be replaced."""
        if path.exists() and not is_forced:
            raise DslcError(
                Diagnostic(
                    Code.FILE_EXISTS,
                    Severity.ERROR,
                    f"`{path}` exists",
                    help="give another name, or replace it with --force",
                )
            )

    def write_file(self, path: Path, content: str | bytes, *, is_forced: bool) -> Path:
        """Write a file that a command was asked for, and return its path.

        Raises:
            DslcError: DSLC681 if it exists and is not to be replaced, DSLC583 if it cannot be written.
        """
        self.refuse_existing(path, is_forced=is_forced)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(path, error) from error
        write_file(path, content if isinstance(content, bytes) else content.encode())
        self.say(f"wrote {path}")
        return path


def uses_color(stream: Any) -> bool:
    """True if text on `stream` may be coloured: a terminal, and NO_COLOR unset or empty."""
    return bool(stream.isatty()) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def document_text(document: Any, *, is_indented: bool = False) -> str:
    """JSON text of a document, however deeply nested; integers past 2^53 must be strings in it already.

    Example:
        >>> document_text({"a": [1, None, "é"]})
        '{"a": [1, null, "é"]}'
    """
    try:
        return json.dumps(document, ensure_ascii=False, indent=2 if is_indented else None)
    except RecursionError:
        return _nested_text(document)


def _nested_text(document: Any) -> str:
    """As `json.dumps`, by a loop with its own stack: the tree of a long sentence may nest as deep as it is long."""
    parts: list[str] = []
    stack: list[tuple[bool, Any]] = [(False, document)]  # (is literal text, value or text)
    while stack:
        is_text, value = stack.pop()
        if is_text:
            parts.append(value)
        elif isinstance(value, Mapping):
            pieces: list[tuple[bool, Any]] = []
            for key, item in value.items():
                pieces += [(True, (", " if pieces else "") + json.dumps(key, ensure_ascii=False) + ": "), (False, item)]
            stack.extend(reversed([(True, "{"), *pieces, (True, "}")]))
        elif isinstance(value, list | tuple):
            pieces = []
            for item in value:
                pieces += [(True, ", "), (False, item)] if pieces else [(False, item)]
            stack.extend(reversed([(True, "["), *pieces, (True, "]")]))
        else:
            parts.append(json.dumps(value, ensure_ascii=False))
    return "".join(parts)
