"""What must be as it was when a run goes on, and what may be other, which is recorded."""

from __future__ import annotations

import time
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.search.config import SearchConfig
from dslc.search.store import RunStore


def read_config(info: Mapping[str, Any]) -> SearchConfig:
    """The settings of a run, which must be those that it began with or that a resume recorded.

    Raises:
        DslcError: DSLC656 with each that was changed in run.json by hand.
    """
    config = SearchConfig(**info["config"])
    if "config_at_start" not in info:  # a run of before this was recorded
        return config
    changes = [change["settings"] for change in info.get("changes", [])]
    expected = SearchConfig(**{**info["config_at_start"], **{k: v for change in changes for k, v in change.items()}})
    found, wanted = config.to_json(), expected.to_json()
    changed = [name for name in wanted if found[name] != wanted[name]]
    if not changed:
        return config
    raise DslcError(
        [
            Diagnostic(
                Code.SETTING_FIXED,
                Severity.ERROR,
                f"`{name}` is {found[name]!r} in run.json, and this run had {wanted[name]!r}",
                help="put it back, or start a new run",
            )
            for name in changed
        ]
    )


def record_changes(store: RunStore, before: SearchConfig, after: SearchConfig) -> tuple[Diagnostic, ...]:
    """Put what a resume changes into run.json; returns a note for each."""
    old, new = before.to_json(), after.to_json()
    settings = {name: value for name, value in new.items() if value != old[name]}
    if settings:
        changes = [*store.info.get("changes", []), {"at": time.time(), "settings": settings}]
        store.write_info(config=new, changes=changes)
    return tuple(
        Diagnostic(
            Code.SETTING_CHANGED,
            Severity.NOTE,
            f"`{name}` was {old[name]!r} and is {value!r} from here on",
            help="the samples are the same; run.json has the change",
        )
        for name, value in settings.items()
    )


def check_grammar_copy(run_dir: Path, info: Mapping[str, Any]) -> None:
    """Nothing, or an error if the run's own copy of the grammar is not the one that it began with.

    Raises:
        DslcError: DSLC626.
    """
    grammar = info["grammar"]
    copy = Path(grammar["copy"])
    hashes = {copy: grammar["sha256"]} | {copy.parent / k: v for k, v in grammar.get("imports", {}).items()}
    for name, wanted in hashes.items():
        try:
            found = sha256((run_dir / name).read_bytes()).hexdigest()
        except OSError as error:
            found = f"{type(error).__name__}: {error}"
        if found != wanted:
            raise DslcError(
                Diagnostic(
                    Code.HISTORY_DIFFERS,
                    Severity.ERROR,
                    f"`{run_dir / name}`, the run's copy of its grammar, has changed since the run began",
                    help="put it back, or start a new run with the changed grammar",
                    notes=(f"its sha256 was {wanted} and is {found}",),
                )
            )
