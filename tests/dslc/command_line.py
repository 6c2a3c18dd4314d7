"""Runs the command line inside the test's process, and the keys that FORMATS promises of each document."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from dslc.cli.group import dslc

ROOT = Path(__file__).parents[2]

DOCUMENT_KEYS: dict[str, set[str]] = {
    name: {"format", *keys.split()}
    for name, keys in {
        "dslc.info/1": "dslc file sha256 start starts target min_tokens max_tokens vocabulary slots rules language"
        " count claimed start_policy constraints diagnostics",
        "dslc.check/1": "dslc files counts diagnostics",
        "dslc.sample/1": "file sha256 start max_tokens sampler seed samples",
        "dslc.parse/1": "file start text tokens index ambiguous tree hash",
        "dslc.best/1": "run task metric unit strategy seed evaluations sample text tokens hash reward test reference"
        " num_parameters source",
        "dslc.report/1": "run status command grammar task strategy seed device environment evaluations unique trained"
        " failures seconds curve control best top",
        "dslc.files/1": "files",
        "dslc.tasks/1": "tasks",
        "dslc.explain/1": "codes",
        "dslc.compare/1": "metric unit confidence method groups pairs notes",
    }.items()
}


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one document on stdout, with all keys of its format."""
        document: dict[str, Any] = json.loads(self.out)
        assert DOCUMENT_KEYS[document["format"]] <= set(document)
        return document


def run(*arguments: str | Path) -> Done:
    """Run `dslc` with these arguments."""
    result = CliRunner().invoke(dslc, [str(argument) for argument in arguments], prog_name="dslc")
    assert isinstance(result.exception, SystemExit | None), result.exception
    return Done(result.exit_code, result.stdout, result.stderr)


def run_process(*arguments: str | Path, folder: Path | None = None, **environment: str) -> Done:
    """Run `dslc` in a process of its own, with nothing but these variables and the path."""
    command = [sys.executable, "-m", "dslc", *map(str, arguments)]
    variables = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False, timeout=120)
    return Done(done.returncode, done.stdout, done.stderr)
