"""From a path to the text of a grammar file."""

from __future__ import annotations

import re
from pathlib import Path

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.source import SourceFile, Span


def read_file(path: str | Path) -> SourceFile:
    """The text of a grammar file, as UTF-8 without a byte order mark, line breaks as they are.

    Raises:
        DslcError: DSLC101 if there is no such file, DSLC106 if it cannot be read as text.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise _error(Code.FILE_NOT_FOUND, f"no file is named `{path}`", None, "check the path") from None
    except (OSError, ValueError) as failure:
        reason = getattr(failure, "strerror", None) or str(failure)
        advice = "give the path of a readable `.lark` file"
        raise _error(Code.UNREADABLE_FILE, f"cannot read `{path}`: {reason}", None, advice) from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Not the offset of the error: after a byte order mark that does not count from the start of the file.
        data = data.removeprefix(b"\xef\xbb\xbf")
        text = data.decode("utf-8", errors="surrogateescape")
        offset = next(i for i, character in enumerate(text) if "\ud800" <= character <= "\udfff")
        byte = ord(text[offset]) - 0xDC00
        shown = SourceFile(str(path), "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text))
        message = f"byte 0x{byte:02x} is not UTF-8 text"
        raise _error(Code.UNREADABLE_FILE, message, shown.span(offset), "save the file as UTF-8") from None
    return SourceFile(str(path), text, path.parent)


MAX_BAD_CHARACTERS = 20
"""Most of them that are told at once."""


def refuse_bad_characters(file: SourceFile) -> None:
    """Refuse characters that no text has.

    Raises:
        DslcError: DSLC106 with the place of each.
    """
    found = [
        Diagnostic(
            Code.UNREADABLE_FILE,
            Severity.ERROR,
            f"character U+{ord(match.group()):04X} is not text",
            file.span(match.start()),
            'remove it, or write it as an escape in a string, as in `"\\x00"`',
        )
        for match in re.finditer(r"[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]", file.text)
    ]
    if found:
        raise DslcError(found[:MAX_BAD_CHARACTERS])


def _error(code: Code, message: str, span: Span | None, help_text: str) -> DslcError:
    return DslcError(Diagnostic(code, Severity.ERROR, message, span, help_text))
