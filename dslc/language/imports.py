"""The files that a grammar file imports: lark's own by name, others by a path below the folder of the grammar file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path

from dslc.diagnostics import Code, Diagnostic, DslcError, Label, Severity
from dslc.language.parse_statements import parse_statements
from dslc.language.pragmas import find_pragma_lines
from dslc.language.read_file import read_file, refuse_bad_characters
from dslc.language.syntax import IgnoreStatement, Options, Statement, TerminalStatement
from dslc.source import SourceFile, Span

DEPTH_LIMIT = 50
"""Most files in a chain of imports."""
IMPORT_LIMIT = 1_000
"""Most imports that are followed, each counted as often as lark would read its file."""


@dataclass(frozen=True)
class ImportedFile:
    """A file that was imported, and its statements as written."""

    file: SourceFile
    statements: tuple[Statement, ...]
    is_library: bool
    """It comes with lark."""


@cache
def library_names() -> tuple[str, ...]:
    """Names of the grammars that come with lark."""
    folder = files("lark").joinpath("grammars")
    return tuple(sorted(path.name[:-5] for path in folder.iterdir() if path.name.endswith(".lark")))


@cache
def read_library(name: str) -> ImportedFile:
    """A grammar that comes with lark."""
    text = files("lark").joinpath(f"grammars/{name}.lark").read_text(encoding="utf-8")
    file = SourceFile(f"<lark>/{name}.lark", text)
    return ImportedFile(file, parse_statements(file, []), True)


@cache
def common_terminals() -> dict[str, Options]:
    """lark's `common` terminals by name."""
    statements = read_library("common").statements
    return {s.name.text: s.body for s in statements if isinstance(s, TerminalStatement)}


class ImportReader:
    """Finds and reads imported files, each once, for one main file."""

    def __init__(self, main: ImportedFile, diagnostics: list[Diagnostic]) -> None:
        self.main = main.file
        self.ignores = any(isinstance(statement, IgnoreStatement) for statement in main.statements)
        """Whether the main file says itself what is ignored."""
        self.diagnostics = diagnostics
        self.library_places: dict[str, Span] = {}
        """Where a file of lark was first imported, by its name: faults in it are shown there."""
        self._read: dict[Path, ImportedFile | None] = {}
        self._chain: list[tuple[Path, Span]] = []
        """The files that are being read, main file left out, with where each was imported."""
        self._num_imports = 0

    @property
    def files(self) -> tuple[SourceFile, ...]:
        """Files that were imported, those of lark left out, in order of reading."""
        return tuple(imported.file for imported in self._read.values() if imported is not None)

    @contextmanager
    def open(
        self, importer: ImportedFile, path: tuple[str, ...], is_relative: bool, span: Span
    ) -> Iterator[ImportedFile | None]:
        """The file of an import that stands in `importer` at `span`; None, and reported, if it cannot be had."""
        self._num_imports += 1
        if self._num_imports > IMPORT_LIMIT or len(self._chain) >= DEPTH_LIMIT:
            message = f"more than {IMPORT_LIMIT:,} imports" if self._num_imports > IMPORT_LIMIT else ""
            message = message or f"imports are more than {DEPTH_LIMIT} files deep"
            advice = "import each file once, from the file that needs it"
            raise DslcError([*self.diagnostics, _error(Code.GRAMMAR_TOO_LARGE, message, span, advice)])
        if not is_relative or importer.is_library:
            place = self.library_places.get(importer.file.name, span)
            imported = self._find_library(path, span)
            if imported is not None:
                self.library_places.setdefault(imported.file.name, place)
            yield imported
            return
        found = self._find_path(importer, path, span)
        if found is None:
            yield None
            return
        imported = self._read_once(found, span)
        self._chain.append((found.resolve(), span))
        try:
            yield imported
        finally:
            self._chain.pop()

    def _find_library(self, path: tuple[str, ...], span: Span) -> ImportedFile | None:
        if len(path) == 1 and path[0] in library_names():
            return read_library(path[0])
        dotted = ".".join(path)
        advice = f"lark has {', '.join(library_names())}; a file beside this one is imported as `.{dotted}`"
        self.diagnostics.append(_error(Code.UNKNOWN_IMPORT, f"lark has no grammar `{dotted}`", span, advice))
        return None

    def _find_path(self, importer: ImportedFile, path: tuple[str, ...], span: Span) -> Path | None:
        """The path of an existing file below the folder of the main file that is not being read already."""
        main, folder = self.main, importer.file.folder
        if main.folder is None or folder is None:
            message = f"`{'.'.join(('', *path))}` is imported by a grammar that stands in no folder"
            advice = "save the grammar in a file beside the one that it imports"
            self.diagnostics.append(_error(Code.UNSUPPORTED_IMPORT, message, span, advice))
            return None
        found = folder.joinpath(*path).with_name(f"{path[-1]}.lark")
        root = main.folder.resolve()
        try:
            target = found.resolve(strict=True)
            is_file = target.is_file()
        except (OSError, RuntimeError):
            is_file = False
        if not is_file:
            message = f"no file `{found}` is there to import"
            advice = "the name of an import is a path from the folder of this file: `.numbers` is `numbers.lark`"
            self.diagnostics.append(_error(Code.UNKNOWN_IMPORT, message, span, advice))
            return None
        if not target.is_relative_to(root):
            message = f"`{found}` is a link to a place outside the folder of `{main.name}`"
            advice = "copy the file into the folder: a run keeps a copy of everything that its grammar imports"
            self.diagnostics.append(_error(Code.UNSUPPORTED_IMPORT, message, span, advice))
            return None
        chain = [(root / Path(main.name).name, span), *self._chain]
        resolved = [path for path, _ in chain]
        if target in resolved:
            first = resolved.index(target)
            names = [path.name for path in resolved[first:]]
            message = f"imports go round: {' > '.join([*names, target.name])}"
            labels = tuple(Label(place, "which is imported here") for _, place in chain[max(1, first) :])
            advice = "move what both files need into a third one, and import that"
            self.diagnostics.append(Diagnostic(Code.RECURSIVE_IMPORT, Severity.ERROR, message, span, advice, labels))
            return None
        return found

    def _read_once(self, path: Path, span: Span) -> ImportedFile | None:
        key = path.resolve()
        if key in self._read:
            return self._read[key]
        self._read[key] = None
        try:
            file = read_file(path)
            refuse_bad_characters(file)
            statements = parse_statements(file, self.diagnostics)
        except DslcError as error:
            self.diagnostics.extend(replace(d, span=d.span or span) for d in error.diagnostics)
            return None
        self._note_what_is_left_out(file, statements, span)
        self._read[key] = ImportedFile(file, statements, False)
        return self._read[key]

    def _note_what_is_left_out(self, file: SourceFile, statements: tuple[Statement, ...], span: Span) -> None:
        """Lines that count in a main file only: `//!` and `%ignore`."""
        lines = find_pragma_lines(file, [(statement.span.start, statement.span.end) for statement in statements])
        ignores = [] if self.ignores else [each.span for each in statements if isinstance(each, IgnoreStatement)]
        for found, what in ((lines, "`//!`"), (ignores, "`%ignore`")):
            if found:
                message = f"a {what} line of an imported file has no effect"
                advice = f"write it in `{self.main.name}` if it is meant for that grammar"
                labels = (Label(span, "imported here"),)
                self.diagnostics.append(
                    Diagnostic(Code.IMPORTED_LINE, Severity.NOTE, message, found[0], advice, labels)
                )


def _error(code: Code, message: str, span: Span, help_text: str) -> Diagnostic:
    return Diagnostic(code, Severity.ERROR, message, span, help_text)
