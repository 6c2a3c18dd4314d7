"""A compiled grammar as one file: a zip archive of JSON and numpy arrays, read without lark.

    manifest.json    format, what it was made from and with, the layout of what is stored, the sha256 of all the rest
    values.json      the grammar with its text, BNF, facts, parts, vocabulary and diagnostics, as `stored_values` has it
    tables/0.npy …   the tables of the automaton

Nothing in it is executed, and equal spaces make equal files.
"""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from dslc.automaton.check_tables import find_table_fault
from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.limits import Limit
from dslc.pipeline import Compilation
from dslc.stored_values import Array, StoredValueError, layout_digest, read_values, write_values

FORMAT_VERSION = 1
"""Of the archive; what the values in it are is told by the layout."""
SUFFIX = ".dslc"

_MANIFEST, _VALUES = "manifest.json", "values.json"
_FORMAT = re.compile(r"dslc\.space/([1-9][0-9]{0,8})")
_FAILURES = (
    EOFError, zlib.error, struct.error, KeyError, NotImplementedError, RuntimeError, ValueError, OSError, TypeError,
    AssertionError, MemoryError,
)  # fmt: skip
"""What zipfile, zlib, json, numpy and the classes themselves say of contents that are none."""
_DATE = (1980, 1, 1, 0, 0, 0)
"""Of every entry, the earliest that an archive knows: when it was made is no part of a space."""


def is_saved_space(path: str | Path) -> bool:
    """Whether a path is that of a saved space, by its suffix.

    Example:
        >>> is_saved_space("space.dslc"), is_saved_space("conv_net")
        (True, False)
    """
    return Path(path).suffix == SUFFIX


def pack_space(compilation: Compilation) -> bytes:
    """The content of the file.

    Raises:
        DslcError: DSLC344 if it would be larger than can be read back.
    """
    stored = write_values(compilation)
    entries = [(_VALUES, json.dumps(stored.objects, separators=(",", ":")).encode())]
    for number, array in enumerate(stored.arrays):
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        entries.append((f"tables/{number}.npy", buffer.getvalue()))
    size = sum(len(content) for _, content in entries)
    if size > Limit.SAVED_BYTES.number:
        raise _error(
            Code.SPACE_TOO_LARGE,
            f"the space of `{compilation.start}` has {size:,} bytes, more than {Limit.SAVED_BYTES.number:,}",
            Limit.SAVED_BYTES.advise("a smaller budget, shorter repetitions or fewer literals make it smaller"),
        )
    manifest = {
        "format": f"dslc.space/{FORMAT_VERSION}",
        "dslc": version("dslc"),
        "layout": layout_digest(Compilation),
        "file": compilation.grammar.file.name,
        "start": compilation.start,
        "max_tokens": compilation.max_tokens,
        "tables": len(stored.arrays),
        "sha256": _digest(entries),
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in [(_MANIFEST, json.dumps(manifest, indent=2).encode()), *entries]:
            entry = zipfile.ZipInfo(name, _DATE)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def load_compilation(path: str | Path) -> Compilation:
    """What `pack_space` packed, from a file.

    Raises:
        DslcError: DSLC101 if there is no such file, DSLC341 if it is damaged or no saved space, DSLC342 if it is of a
            newer format, DSLC343 if what it holds is laid out otherwise than in this version, DSLC344 past the limit.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise _error(Code.FILE_NOT_FOUND, f"no file is named `{path}`", "check the path") from None
    except (OSError, ValueError) as failure:
        reason = getattr(failure, "strerror", None) or str(failure)
        raise _damaged(path, f"it cannot be read: {reason}") from None
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _unpack(path, archive)
    except DslcError:
        raise
    except zipfile.BadZipFile as failure:
        reason = "it is cut short or no saved space" if data[:2] == b"PK" else "it is no saved space"
        raise _damaged(path, reason if "zip file" in str(failure) else str(failure)) from failure
    except _FAILURES as failure:
        raise _damaged(path, f"{type(failure).__name__}: {failure}") from failure


def _unpack(path: Path, archive: zipfile.ZipFile) -> Compilation:
    sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
    if sum(sizes.values()) > Limit.SAVED_BYTES.number:
        raise _error(
            Code.SPACE_TOO_LARGE,
            f"`{path}` holds {sum(sizes.values()):,} bytes, the limit of a saved space is {Limit.SAVED_BYTES.number:,}",
            Limit.SAVED_BYTES.advise("compile the grammar again"),
        )
    if any(entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for entry in archive.infolist()):
        raise _damaged(path, "it is compressed in another way than saved spaces are")
    if _MANIFEST not in sizes:
        raise _damaged(path, "it has no manifest.json, so it is another kind of archive")
    manifest = _read_json(path, archive, _MANIFEST)
    _check_version(path, manifest)
    number = manifest.get("tables")
    names = [_VALUES, *(f"tables/{i}.npy" for i in range(number if isinstance(number, int) else 0))]
    if sorted(sizes) != sorted([_MANIFEST, *names]) or len(archive.infolist()) != len(sizes):
        raise _damaged(path, "it does not hold what its manifest says")
    entries = [(name, archive.read(name)) for name in names]
    if manifest.get("sha256") != _digest(entries):
        raise _damaged(path, "its sha256 is not that of its manifest")
    arrays = [_read_array(content) for _, content in entries[1:]]
    try:
        objects = json.loads(entries[0][1])
        compilation: Compilation = read_values(Compilation, objects, arrays)
    except RecursionError:
        raise _damaged(path, "values.json is nested too deeply") from None
    except StoredValueError as failure:
        raise _damaged(path, str(failure)) from failure
    fault = find_table_fault(compilation.lowering.automaton)
    if fault is not None:
        raise _damaged(path, fault)
    return compilation


def _check_version(path: Path, manifest: Any) -> None:
    stated = manifest.get("format") if isinstance(manifest, dict) else None
    found = _FORMAT.fullmatch(stated) if isinstance(stated, str) else None
    if found is None:
        raise _damaged(path, "its manifest states no format such as dslc.space/1")
    maker = str(manifest.get("dslc", "of an unknown version"))
    if int(found.group(1)) > FORMAT_VERSION:
        raise _error(
            Code.NEWER_SPACE,
            f"`{path}` has the format {stated}, this version of dslc reads dslc.space/{FORMAT_VERSION}",
            f"it was written by dslc {maker}: install that version or a later one, or compile the grammar again",
        )
    if manifest.get("layout") != layout_digest(Compilation):
        raise _error(
            Code.OTHER_LAYOUT,
            f"`{path}` was written by another dslc ({maker}), which keeps spaces otherwise than this one",
            "compile the grammar again; its text is in values.json of the file",
        )


def _read_json(path: Path, archive: zipfile.ZipFile, name: str) -> Any:
    try:
        return json.loads(archive.read(name))
    except RecursionError:
        raise _damaged(path, f"{name} is nested too deeply") from None


def _read_array(content: bytes) -> Array:
    array: Array = np.load(io.BytesIO(content), allow_pickle=False)
    return array


def _digest(entries: Iterable[tuple[str, bytes]]) -> str:
    digest = sha256()
    for name, content in entries:
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _damaged(path: Path, reason: str) -> DslcError:
    advice = "compile the grammar again: `dslc compile GRAMMAR -o FILE`"
    return _error(Code.SPACE_UNREADABLE, f"cannot read the saved space `{path}`: {reason}", advice)


def _error(code: Code, message: str, advice: str) -> DslcError:
    return DslcError(Diagnostic(code, Severity.ERROR, message, help=advice))
