"""How rows are found by program hash: by indices once a run is over, else by a table in the memory of who reads it.

A search that is going on has no such index. Hashes are random, so nearly every new row would change another page of it,
which is written whole, to the log and then to the database: three quarters of the cost of recording at 100,000
programs, and the more the longer the run. The search itself keeps its outcomes in memory and asks for rows by number.
"""

from __future__ import annotations

import sqlite3

DROP_INDICES = """
DROP INDEX IF EXISTS evaluations_by_hash;
DROP INDEX IF EXISTS samples_by_hash;
"""
MAKE_INDICES = """
CREATE UNIQUE INDEX IF NOT EXISTS evaluations_by_hash ON evaluations(program_hash, fidelity);
CREATE INDEX IF NOT EXISTS samples_by_hash ON samples(program_hash);
"""
"""For whoever asks a finished run by hash; the first also checks that no program was evaluated twice."""

WITH_LONGEST = "samples JOIN evaluations ON evaluations.rowid = longest_row(samples.program_hash)"
"""Every sample beside the longest training of its program, where `define_longest_row` was called."""


def define_longest_row(database: sqlite3.Connection) -> None:
    """Let SQL over this connection ask for `longest_row(program_hash)`: the row of a program's longest training.

    What is read afterwards is the run at this moment, also while a search goes on writing. A million programs take
    250 MB. SQLite would make its own index for a join by hash, ten times as slowly.
    """
    database.execute("BEGIN")
    rows = database.execute("SELECT program_hash, rowid FROM evaluations ORDER BY fidelity")
    row_by_hash: dict[str, int] = dict(rows)  # of a program's trainings the last stays
    database.create_function("longest_row", 1, row_by_hash.get, deterministic=True)
