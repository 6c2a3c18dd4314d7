"""Drawing: a figure as DOT and SVG text."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import graphviz

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.program.draw.layout import lay_out

_SVG_SUFFIXES = (".svg",)
_DOT_SUFFIXES = (".dot", ".gv")


@dataclass(frozen=True)
class Drawing:
    """A figure; shows itself in a notebook.

    Example:
        >>> drawing = Drawing("digraph { a -> b }", "two nodes")
        >>> drawing.svg.startswith("<svg"), drawing.dot
        (True, 'digraph { a -> b }')
    """

    dot: str
    """DOT text, good for any Graphviz program."""
    title: str

    @property
    def source(self) -> graphviz.Source:
        """The figure as the `graphviz` package knows it."""
        return graphviz.Source(self.dot)

    @cached_property
    def svg(self) -> str:
        """SVG text, laid out when first asked for; raises DslcError (DSLC402) where no layout program works."""
        return lay_out(self.dot, self.title)

    def save(self, path: str | Path) -> Path:
        """Write the figure in the format of the path's suffix, `.svg`, `.dot` or `.gv`, and return the path.

        Raises:
            DslcError: DSLC401 for another suffix, DSLC403 where the file cannot be written.
        """
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix not in (*_SVG_SUFFIXES, *_DOT_SUFFIXES):
            raise DslcError(
                Diagnostic(
                    Code.DRAWING_FORMAT,
                    Severity.ERROR,
                    f"cannot draw to `{path}`: " + (f"`{suffix}` is not a known format" if suffix else "it has no suffix"),
                    help=f"write `{path.with_suffix('.svg') if path.name else 'drawing.svg'}`"
                    " for a picture, or a `.dot` or `.gv` file for Graphviz",
                )
            )
        text = self.svg + "\n" if suffix in _SVG_SUFFIXES else self.dot
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise DslcError(
                Diagnostic(
                    Code.CANNOT_WRITE,
                    Severity.ERROR,
                    f"cannot write `{path}`: {error.strerror}",
                    help="choose a place that exists and is writable",
                )
            ) from error
        return path

    def _repr_svg_(self) -> str:
        return self.svg
