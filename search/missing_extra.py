"""The diagnostic of an optional package that is not there."""

from __future__ import annotations

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity


def missing_extra(message: str, extra: str, otherwise: str = "") -> DslcError:
    """DSLC606: what needs which package, with the pip line of the extra that has it.

    Example:
        >>> missing_extra("the task `digits` needs scikit-learn, which is not installed", "tasks").diagnostics[0].help
        'run: pip install "dslc[tasks]"'
    """
    action = f'run: pip install "dslc[{extra}]"{otherwise}'
    return DslcError(Diagnostic(Code.MISSING_EXTRA, Severity.ERROR, message, help=action))
