"""Drawing: a figure as DOT and SVG text."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import graphviz

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.program.draw.figure import Figure
from dslc.program.draw.layout import place_boxes
from dslc.program.draw.write_dot import write_dot
from dslc.program.draw.write_svg import write_svg

MAX_BOXES = 2000
"""Most boxes that are laid out; DOT text has no limit."""


@dataclass(frozen=True)
class Drawing:
    """A drawn tree or graph; shows itself in a notebook."""

    figure: Figure

    @property
    def title(self) -> str:
        """What stands above the figure, normally the sentence."""
        return self.figure.title

    @cached_property
    def dot(self) -> str:
        """DOT text, good for any Graphviz program."""
        return write_dot(self.figure)

    @property
    def source(self) -> graphviz.Source:
        """The figure as the `graphviz` package knows it."""
        return graphviz.Source(self.dot)

    @cached_property
    def svg(self) -> str:
        """SVG text, laid out when first asked for.

        Raises:
            DslcError: DSLC582 where no layout program works, DSLC584 for more than MAX_BOXES boxes.
        """
        if len(self.figure.boxes) > MAX_BOXES:
            raise DslcError(
                Diagnostic(
                    Code.DRAWING_TOO_LARGE,
                    Severity.ERROR,
                    f"the figure has {len(self.figure.boxes)} boxes, the limit is {MAX_BOXES}",
                    help="draw a shorter sentence, or write a `.dot` file, which has no limit",
                )
            )
        return write_svg(self.figure, place_boxes(self.dot, len(self.figure.boxes)))

    def save(self, path: str | Path) -> Path:
        """Write the figure in the format of the path's suffix, `.svg`, `.dot` or `.gv`, and return the path.

        Raises:
            DslcError: DSLC581 for another suffix, DSLC583 where the file cannot be written.
        """
        path = Path(path)
        text = render_as(self, path)
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


def render_as(drawing: Drawing, path: Path) -> str:
    """The text of a drawing in the format of the path's suffix; raises DslcError (DSLC581) for an unknown one."""
    suffix = path.suffix.lower()
    if suffix == ".svg":
        return drawing.svg + "\n"
    if suffix in (".dot", ".gv"):
        return drawing.dot
    raise DslcError(
        Diagnostic(
            Code.DRAWING_FORMAT,
            Severity.ERROR,
            f"cannot draw to `{path}`: " + (f"`{suffix}` is not a known format" if suffix else "it has no suffix"),
            help="end the name in `.svg` for a picture, or in `.dot` or `.gv` for Graphviz",
        )
    )
