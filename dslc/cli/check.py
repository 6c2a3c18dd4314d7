"""`dslc check`: what is wrong with grammar files."""

from __future__ import annotations

import sys

import click

from dslc.checks import check_path
from dslc.cli.group import Exit
from dslc.cli.options import GRAMMAR, examples
from dslc.cli.terminal import Terminal, uses_color
from dslc.diagnostics import Diagnostic, Severity, render_github, render_json, render_text


@click.command(
    "check",
    short_help="Say what is wrong with grammar files.",
    epilog=examples("dslc check my_space.lark", "dslc check conv_net --format github"),
)
@click.argument("grammars", metavar="GRAMMAR...", nargs=-1, required=True, type=GRAMMAR)
@click.option(
    "--format", "style", type=click.Choice(["text", "json", "github"]), default="text", show_default=True,
    help="For people, for programs, or as annotations of a GitHub workflow.",
)  # fmt: skip
@click.option("--json", "is_json", is_flag=True, help="The same as --format json.")
@click.option("-q", "--quiet", "is_quiet", is_flag=True, help="Print errors only.")
def command(grammars: tuple[str, ...], style: str, is_json: bool, is_quiet: bool) -> int:
    """Say what is wrong with grammar files, with line, column and remedy.

    Every start of a file is checked: rules that never end or are never used, ambiguity, claimed sizes, the target.
    Leaves with 1 if there is an error; warnings and notes leave with 0.
    """
    style = "json" if is_json else style
    found: list[Diagnostic] = []
    names: list[str] = []
    for grammar in grammars:
        name, diagnostics = check_path(grammar)
        names.append(name)
        found.extend(diagnostics)
    if is_quiet:
        found = [diagnostic for diagnostic in found if diagnostic.severity is Severity.ERROR]
    _show(found, names, style, is_quiet)
    return Exit.INPUT_AT_FAULT if any(d.severity is Severity.ERROR for d in found) else Exit.DONE


def _show(found: list[Diagnostic], names: list[str], style: str, is_quiet: bool) -> None:
    if style == "json":
        Terminal(is_json=True).show_document(render_json(found, names))
        return
    if found:
        text = render_github(found) if style == "github" else render_text(found, color=uses_color(sys.stdout))
        click.echo(text.rstrip("\n"))
    if not is_quiet and style == "text":
        files = f"{len(names)} files" if len(names) > 1 else names[0]
        counts = [(sum(d.severity is severity for d in found), severity.value) for severity in Severity]
        parts = [f"{count} {name}{'s' if count > 1 else ''}" for count, name in counts if count]
        click.echo(f"{files}: {', '.join(parts) or 'nothing to complain about'}", err=bool(found))
