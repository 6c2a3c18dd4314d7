"""Writing a file that a user asked for."""

from __future__ import annotations

from pathlib import Path

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity


def write_file(path: Path, content: bytes) -> Path:
    """Write a file, replacing what is there, and return its path.

    Raises:
        DslcError: DSLC583 if it cannot be written.
    """
    try:
        path.write_bytes(content)
    except OSError as error:
        raise cannot_write(path, error) from error
    return path


def cannot_write(path: Path, error: OSError) -> DslcError:
    """The diagnostic for a file, or the folder of one, that the system refuses to make."""
    return DslcError(
        Diagnostic(
            Code.CANNOT_WRITE,
            Severity.ERROR,
            f"cannot write `{path}`: {error.strerror}",
            help="choose a place that exists and is writable",
        )
    )
