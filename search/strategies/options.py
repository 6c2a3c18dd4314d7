"""Reading the options of a strategy into its dataclass."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity

Options = TypeVar("Options")


def read_options(kind: type[Options], given: Mapping[str, Any], strategy: str) -> Options:
    """The options dataclass `kind` with the given values, the defaults elsewhere.

    A dataclass may have `by_preset`, defaults that differ with the option `preset`: {preset: {name: value}}. Every
    default is a str, an int or a float, and a value has its default's type; text that reads as a number is one.

    Raises:
        DslcError: DSLC604 for every unknown name, with the nearest known one; DSLC605 for every value of another type.
    """
    defaults = {field.name: field.default for field in fields(kind)}  # type: ignore[arg-type]
    problems = []
    values = dict(getattr(kind, "by_preset", {}).get(str(given.get("preset")), {}))
    for name, value in given.items():
        if name not in defaults:
            nearest = difflib.get_close_matches(name, defaults, 1)
            known = (
                f"its options: {', '.join(f'`{option}`' for option in defaults)}" if defaults else "it has no options"
            )
            problems.append(
                Diagnostic(
                    Code.UNKNOWN_OPTION,
                    Severity.ERROR,
                    f"strategy `{strategy}` has no option `{name}`",
                    help=f"did you mean `{nearest[0]}`?" if nearest else known,
                )
            )
            continue
        try:
            values[name] = _convert(value, type(defaults[name]))
        except ValueError:
            problems.append(bad_value(strategy, name, value, f"give a {type(defaults[name]).__name__}"))
    if problems:
        raise DslcError(problems)
    return kind(**values)


def bad_value(strategy: str, name: str, value: object, remedy: str) -> Diagnostic:
    """The diagnostic of an option that cannot have that value."""
    return Diagnostic(
        Code.BAD_SETTING,
        Severity.ERROR,
        f"option `{name}` of strategy `{strategy}` cannot be `{value}`",
        help=remedy,
    )


def _convert(value: object, kind: type) -> object:
    if isinstance(value, bool):
        raise ValueError(value)
    if kind is float and isinstance(value, (int, float, str)):
        return float(value)
    if kind is int and isinstance(value, (int, str)):
        return int(value)
    if kind is str and isinstance(value, str):
        return value
    raise ValueError(value)
