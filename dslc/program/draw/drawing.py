"""Drawing: a picture as SVG and DOT text and as PNG."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import final

import graphviz

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.program.draw.figure import Figure
from dslc.program.draw.fold import fold_placement
from dslc.program.draw.layout import place_figure
from dslc.program.draw.rasterize import rasterize_svg
from dslc.program.draw.write_dot import write_dot
from dslc.program.draw.write_svg import write_svg
from dslc.write_file import write_file

MAX_BOXES = 2000
"""Most boxes that are laid out; DOT text has no limit."""


class Drawing(ABC):
    """A picture; shows itself in a notebook."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What stands above the picture, normally the sentence."""

    @property
    @abstractmethod
    def dot(self) -> str:
        """DOT text, good for any Graphviz program."""

    @property
    @abstractmethod
    def svg(self) -> str:
        """SVG text, laid out when first asked for.

        Raises:
            DslcError: DSLC582 where no layout program works, DSLC584 for more boxes than are laid out.
        """

    @property
    def source(self) -> graphviz.Source:
        """The picture as the `graphviz` package knows it."""
        return graphviz.Source(self.dot)

    def png(self) -> bytes:
        """The picture as PNG, in light colours on white.

        Raises:
            DslcError: as for `svg`, and DSLC584 for a picture of too many pixels.
        """
        return rasterize_svg(self.svg)

    def save(self, path: str | Path) -> Path:
        """Write the picture in the format of the path's suffix, `.svg`, `.png`, `.dot` or `.gv`, and return the path.

        Raises:
            DslcError: DSLC581 for another suffix, DSLC583 where the file cannot be written.
        """
        path = Path(path)
        return write_file(path, render_as(self, path))

    def _repr_svg_(self) -> str:
        return self.svg


@final
@dataclass(frozen=True)
class FigureDrawing(Drawing):
    """A drawn figure: boxes with arrows between them."""

    figure: Figure

    @property
    def title(self) -> str:
        """As of the figure."""
        return self.figure.title

    @cached_property
    def dot(self) -> str:
        """As of every drawing."""
        return write_dot(self.figure)

    @cached_property
    def svg(self) -> str:
        """As of every drawing."""
        if len(self.figure.boxes) > MAX_BOXES:
            raise DslcError(
                Diagnostic(
                    Code.DRAWING_TOO_LARGE,
                    Severity.ERROR,
                    f"the figure has {len(self.figure.boxes)} boxes, the limit is {MAX_BOXES}",
                    help="draw something smaller, or write a `.dot` file, which has no limit",
                )
            )
        return write_svg(self.figure, fold_placement(self.figure, place_figure(self.figure)))


def render_as(drawing: Drawing, path: Path) -> bytes:
    """A drawing in the format of the path's suffix; raises DslcError (DSLC581) for an unknown one."""
    suffix = path.suffix.lower()
    if suffix == ".svg":
        return f"{drawing.svg}\n".encode()
    if suffix == ".png":
        return drawing.png()
    if suffix in (".dot", ".gv"):
        return drawing.dot.encode()
    raise DslcError(
        Diagnostic(
            Code.DRAWING_FORMAT,
            Severity.ERROR,
            f"cannot draw to `{path}`: " + (f"`{suffix}` is not a known format" if suffix else "it has no suffix"),
            help="end the name in `.svg` or `.png` for a picture, or in `.dot` or `.gv` for Graphviz",
        )
    )
