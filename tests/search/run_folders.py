"""Run folders made by hand, after the published format and with no code of the search."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GRAMMARS = Path(__file__).parents[2] / "grammars"
SCHEMA = """
CREATE TABLE samples(id INTEGER PRIMARY KEY, batch INT, tokens TEXT, text TEXT, log_prob REAL, program_hash TEXT,
    origin TEXT, parent_ids TEXT, created_at REAL);
CREATE TABLE evaluations(program_hash TEXT, fidelity REAL, reward REAL NULL, metrics TEXT, code TEXT NULL,
    message TEXT NULL, seconds REAL, worker TEXT, finished_at REAL, PRIMARY KEY(program_hash, fidelity));
CREATE TABLE batches(id INTEGER PRIMARY KEY, tokens BLOB, rewards BLOB, origin BLOB);
PRAGMA user_version = 1;
"""
UNSAFE = "<script>alert('&amp; \"x\"')</script>"
"""Text of a user that would break a page if it were taken for markup."""


@dataclass(frozen=True)
class Row:
    """A sample, and what its program came to."""

    batch: int
    text: str
    program: str
    reward: float | None
    is_control: bool = False
    tokens: tuple[int, ...] = ()
    code: str | None = None
    message: str | None = None
    seconds: float = 0.5


def write_run(folder: Path, rows: Iterable[Row], *, grammar: str = "conv_net", **changes: Any) -> Path:
    """A run folder of these samples, ids from 1 in their order; `changes` are put into run.json."""
    (folder / "grammar").mkdir(parents=True)
    shutil.copy(GRAMMARS / f"{grammar}.lark", folder / "grammar")
    with closing(sqlite3.connect(folder / "samples.sqlite")) as database, database:
        database.executescript(SCHEMA)
        for number, row in enumerate(rows, start=1):
            origin = "uniform" if row.is_control else "policy"
            sample = (
                number,
                row.batch,
                json.dumps(row.tokens),
                row.text,
                -1.5,
                row.program,
                origin,
                "[]",
                1000.0 + number,
            )
            database.execute("INSERT INTO samples VALUES (?,?,?,?,?,?,?,?,?)", sample)
            evaluation = (row.program, 1.0, row.reward, "{}", row.code, row.message, row.seconds, "", 1000.0 + number)
            database.execute("INSERT OR IGNORE INTO evaluations VALUES (?,?,?,?,?,?,?,?,?)", evaluation)
    info: dict[str, Any] = {
        "format": 1,
        "command": f"dslc search {grammar} --task digits --evaluations 300 --run 'my runs/{UNSAFE}'",
        "config": {
            "task": "digits",
            "strategy": "policy_gradient",
            "evaluations": 300,
            "batch": 10,
            "control": 150,
            "seed": 3,
            "device": "cpu",
            "workers": 0,
            "child_threads": 1,
            "options": {"epochs": 3},
            "strategy_options": {"learning_rate": 0.01},
        },
        "grammar": {
            "file": f"grammars/{grammar}.lark",
            "copy": f"grammar/{grammar}.lark",
            "sha256": "5e" * 32,
            "start": "start",
            "target": {"conv_net": "conv_net", "activation": "activation"}.get(grammar),
            "max_tokens": None,
        },
        "task": {
            "name": "digits",
            "metric": "validation accuracy",
            "unit": "share",
            "floor": 0.0,
            "accepts": None,
            "reference": {"label": f"logistic regression {UNSAFE}", "value": 0.953, "command": "dslc tasks --json"},
        },
        "environment": {
            "dslc": "0.1.0",
            "python": "3.11.7",
            "torch": "2.13.0",
            "platform": "Linux",
            "child_threads": 1,
            "data_sha256": "ab" * 32,
        },
        "status": "finished",
        "seconds": {"total": 192.4, "controller": 3.1},
        "started_at": 1000.0,
        **changes,
    }
    (folder / "run.json").write_text(json.dumps(info), encoding="utf-8")
    return folder


def random_rows(seed: int, *, num_batches: int = 12, num_programs: int = 60) -> list[Row]:
    """Samples of both arms with repeats, ties and failures of two codes; tokens are not those of any grammar."""
    generator = random.Random(seed)
    outcomes: dict[str, tuple[float | None, str | None, str | None]] = {}
    for number in range(num_programs):
        if generator.random() < 0.1:
            problem = generator.choice(["DSLC611", "DSLC614"])
            outcomes[f"h{number}"] = (None, problem, f"{problem} {UNSAFE}\nframe 1")
        else:
            outcomes[f"h{number}"] = (round(generator.betavariate(5, 2), 2), None, None)
    seconds = {program: round(generator.uniform(0.1, 2.0), 3) for program in outcomes}
    rows = []
    for batch in range(num_batches):
        for is_control in (False,) * 10 + (True,) * generator.randrange(3, 7):
            program = f"h{generator.randrange(num_programs)}"
            reward, code, message = outcomes[program]
            text = f"sentence {program} {UNSAFE}"
            rows.append(Row(batch, text, program, reward, is_control, (), code, message, seconds[program]))
    return rows


def searched_rows(seed: int = 0, *, grammar: str = "conv_net", samples: int = 300, control: int = 150) -> list[Row]:
    """Samples of a real grammar whose reward rises over the batches, as a search that learns would leave them."""
    from dslc.space import compile

    generator = random.Random(seed)
    space = compile(GRAMMARS / f"{grammar}.lark")
    outcomes: dict[str, tuple[float | None, str | None, str | None]] = {}
    rows: list[tuple[int, str, tuple[int, ...], bool]] = []
    for number in range(samples):
        program = space.sample(seed=generator.randrange(10**9))
        outcomes[program.text] = _invent_outcome(generator, 0.8 + 0.17 * min(1, number / (0.7 * samples)))
        again = rows[-2] if number > samples / 2 and number % 7 == 6 else None
        rows.append((number // 10, *(again[1:3] if again else (program.text, program.tokens)), False))
    for number in range(control):
        program = space.sample(seed=generator.randrange(10**9))
        outcomes[program.text] = _invent_outcome(generator, 0.82)
        rows.append((number // 5, program.text, program.tokens, True))
    rows.sort(key=lambda row: (row[0], row[3]))
    return [
        Row(batch, text, f"{text} hashed", outcomes[text][0], is_control, tokens, outcomes[text][1], outcomes[text][2])
        for batch, text, tokens, is_control in rows
    ]


def _invent_outcome(generator: random.Random, center: float) -> tuple[float | None, str | None, str | None]:
    if generator.random() < 0.04:
        frames = "children/train.py:41 in fit: loss.backward()\nchildren/train.py:12 in step: raise ValueError(text)"
        return None, "DSLC611", f"ValueError: expected 4 channels, got <2> & more\n{frames}"
    return round(min(0.992, generator.gauss(center, 0.05 * (1.1 - center) * 5)), 3), None, None
