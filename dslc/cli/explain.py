"""`dslc explain`: what a code means, and how to mend its cause."""

from __future__ import annotations

import re
import shutil
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from importlib.resources import files
from textwrap import indent, wrap

import click
from click.shell_completion import CompletionItem

from dslc.cli.options import examples, terminal_options
from dslc.cli.terminal import Terminal
from dslc.diagnostics import Code, Diagnostic, DslcError, Severity

PAGE = "diagnostics.md"
"""The page of all codes, docs/diagnostics.md; `dslc` holds it too, so that it is there where dslc is installed."""
_SECTION = re.compile(r"^## (DSLC\d+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[([^]]+)\]\([^)]+\)")


@dataclass(frozen=True, slots=True)
class Explanation:
    """One section of the page."""

    code: str
    title: str
    """In one sentence."""
    text: str
    """The rest of the section, in Markdown."""


def read_explanations() -> dict[str, Explanation]:
    """All sections of the page, by code, in order."""
    page = files("dslc") / PAGE
    text = page.read_text(encoding="utf-8")
    if "\n" not in text.strip():  # a checkout on a system without links holds the link's own text
        text = (files("dslc") / text.strip()).read_text(encoding="utf-8")
    return {code: Explanation(code, *_split_title(body)) for code, body in _SECTION.findall(text)}


def _split_title(body: str) -> tuple[str, str]:
    """The first sentence of a section, which begins in bold, and the rest."""
    end = re.search(r"\.\**(?=\s|\Z)", body)
    place = end.end() if end else len(body)
    return " ".join(body[:place].replace("**", "").split()), body[place:].strip()


class ErrorCode(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of click only
    """A code; the shell completes it."""

    name = "code"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """Codes that begin so."""
        found = read_explanations().values()
        return [CompletionItem(e.code, help=e.title) for e in found if e.code.startswith(incomplete.upper())]


@click.command(
    "explain",
    short_help="Explain a code such as DSLC204.",
    epilog=examples("dslc explain DSLC204", "dslc explain"),
)
@click.argument("code", metavar="[CODE]", type=ErrorCode(), required=False)
@terminal_options
def command(terminal: Terminal, code: str | None) -> None:
    """Explain a code: what is wrong, how to mend it, and an example that causes it.

    Without a code, list all of them. `204` and `dslc204` are DSLC204.
    """
    explanations = read_explanations()
    if code is not None:
        explanation = _find(code, explanations)
        terminal.show(render_explanation(explanation, _width()))
        explanations = {explanation.code: explanation}
    else:
        for explanation in explanations.values():
            terminal.show(f"{explanation.code}  {explanation.title}")
        terminal.say("\ndslc explain CODE says more about one of them")
    codes = [asdict(explanation) for explanation in explanations.values()]
    terminal.show_document({"format": "dslc.explain/1", "codes": codes})


def _find(written: str, explanations: dict[str, Explanation]) -> Explanation:
    name = written.strip().upper()
    name = name if name.startswith("DSLC") else f"DSLC{name}"
    if name in explanations:
        return explanations[name]
    near = get_close_matches(name, explanations, n=1)
    raise DslcError(
        Diagnostic(
            Code.UNKNOWN_CODE,
            Severity.ERROR,
            f"there is no code `{written}`",
            help=(f"did you mean `{near[0]}`? " if near else "") + "`dslc explain` lists all",
        )
    )


def _width() -> int:
    return min(shutil.get_terminal_size((80, 24)).columns, 100)


def render_explanation(explanation: Explanation, width: int) -> str:
    """A section for a terminal: paragraphs wrapped, examples indented.

    Example:
        >>> print(render_explanation(Explanation("DSLC1", "It is.", "So it **is**.\\n\\n```lark\\nstart: A\\n```"), 80))
        DSLC1: It is.
        <BLANKLINE>
        So it is.
        <BLANKLINE>
            start: A
    """
    parts = ["\n".join(wrap(f"{explanation.code}: {explanation.title}", width, break_on_hyphens=False))]
    for number, piece in enumerate(_BLOCK.split(explanation.text)):
        if number % 2:
            parts.append(indent(piece.rstrip("\n"), "    "))
            continue
        for paragraph in re.split(r"\n\s*\n", piece.strip()):
            plain = _LINK.sub(r"\1", paragraph).replace("**", "")
            if plain:
                parts.append("\n".join(wrap(plain, width, break_long_words=False, break_on_hyphens=False)))
    return "\n\n".join(parts)
