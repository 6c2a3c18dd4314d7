"""The task `nasbench201`: every sentence has a record, the order is right, a harmful table executes nothing."""

from __future__ import annotations

import pickle
import sqlite3
from contextlib import closing
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

import dslc
from dslc.diagnostics import Code, DslcError
from dslc.search import Context, search
from dslc.search.tasks import get_task, nasbench201
from dslc.search.tasks.nasbench201 import EDGES, OPERATIONS, QUANTITIES, load_records, read_cell, read_records

SPACE = dslc.compile("nasbench201")
CHANCE = 10.0
ROWS = "SELECT text, reward FROM samples JOIN evaluations USING (program_hash)"
BEST_OF_THE_PAPER = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"


def has_path(cell: tuple[int, ...], edges: tuple[tuple[int, int], ...]) -> bool:
    reached = {0}
    for node in (1, 2, 3):
        if any(
            end == node and start in reached and OPERATIONS[operation] != "none"
            for (start, end), operation in zip(edges, cell, strict=True)
        ):
            reached.add(node)
    return 3 in reached


def test_sentences_and_records_are_one_to_one() -> None:
    cells = {read_cell(SPACE[index].text) for index in range(SPACE.count())}
    assert cells == set(load_records().figures)
    assert len(cells) == SPACE.count() == 15_625


def test_only_cells_without_a_path_are_at_chance_and_only_this_order_says_so() -> None:
    at_chance = {cell: figures[QUANTITIES[0]] == CHANCE for cell, figures in load_records().figures.items()}
    consistent = [
        edges
        for edges in permutations(EDGES)
        if all(has_path(cell, edges) is not chance for cell, chance in at_chance.items())
    ]
    mirrored = tuple((3 - end, 3 - start) for start, end in EDGES)
    assert consistent == sorted([EDGES, mirrored])


def test_what_the_paper_found_best_is_among_the_best() -> None:
    rewards = {cell: figures[QUANTITIES[0]] for cell, figures in load_records().figures.items()}
    ranked = sorted(rewards, key=rewards.__getitem__, reverse=True)
    cell = read_cell(BEST_OF_THE_PAPER)
    assert cell is not None
    assert ranked.index(cell) < 5


def test_a_search_records_what_the_table_has(tmp_path: Path) -> None:
    search(SPACE, task="nasbench201", evaluations=40, control=0, seed=1, run_dir=tmp_path / "run")
    with closing(sqlite3.connect(tmp_path / "run/samples.sqlite")) as connection:
        rows = connection.execute(ROWS).fetchall()
    assert len(rows) == 40
    for text, reward in rows:
        cell = read_cell(text)
        assert cell is not None
        assert reward == load_records().figures[cell]["baseline_accuracy"]


def test_another_quantity_and_its_reference() -> None:
    task: Any = get_task("nasbench201")
    task.prepare(SPACE, {"quantity": "analog_accuracy"})
    program = SPACE.parse(nasbench201.RESIDUAL)
    outcome = task.evaluate(program, Context(0, options={"quantity": "analog_accuracy"}))
    assert outcome.reward == task.reference[1] == outcome.metrics["analog_accuracy"]
    assert task.test(program, Context(0)) is None
    with pytest.raises(DslcError) as raised:
        task.prepare(SPACE, {"quantity": "loss"})
    assert raised.value.diagnostics[0].code is Code.BAD_SETTING


def test_the_reference_is_the_record() -> None:
    task: Any = get_task("nasbench201")
    cell = read_cell(nasbench201.RESIDUAL)
    assert cell is not None
    assert task.reference[1] == load_records().figures[cell]["baseline_accuracy"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "|none~0|",
        "|none~0|+|none~0|none~1|+|none~0|none~1|",
        "|none~0|+|none~1|none~0|+|none~0|none~1|none~2|",
        "|max~0|+|none~0|none~1|+|none~0|none~1|none~2|",
    ],
)
def test_what_is_no_cell(text: str) -> None:
    assert read_cell(text) is None


def test_another_grammar_is_refused_before_the_first_sample(tmp_path: Path) -> None:
    with pytest.raises(DslcError) as raised:
        search(dslc.compile("activation"), task="nasbench201", evaluations=5, run_dir=tmp_path / "run")
    assert raised.value.diagnostics[0].code is Code.NOT_RECORDED


class Harmful:
    """Its pickle calls a function when loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("executed"),))


TABLES = {
    "harmful": pickle.dumps({(0, 0, 0, 0, 0, 0): Harmful()}),
    "empty": pickle.dumps({}),
    "no table": pickle.dumps([1, 2]),
    "not a cell": pickle.dumps({(0, 9): 1}),
    "no pickle": b"accuracy,94\n",
    "nothing": b"",
}


@pytest.mark.parametrize("data", TABLES.values(), ids=TABLES.keys())
def test_other_files_are_refused_and_executed_never(
    data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.anb").write_bytes(data)
    with pytest.raises(DslcError) as raised:
        read_records(tmp_path / "data.anb")
    assert raised.value.diagnostics[0].code is Code.DATA_UNREADABLE
    assert not (tmp_path / "executed").exists()


def test_a_truncated_table_is_refused(tmp_path: Path) -> None:
    from importlib.util import find_spec

    found = find_spec("analognasbench")
    assert found is not None
    data = Path(found.submodule_search_locations[0], "data.anb").read_bytes()  # type: ignore[index]
    (tmp_path / "data.anb").write_bytes(data[: len(data) // 2])
    with pytest.raises(DslcError) as raised:
        read_records(tmp_path / "data.anb")
    assert raised.value.diagnostics[0].code is Code.DATA_UNREADABLE


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nasbench201, "find_spec", lambda _: None)
    load_records.cache_clear()
    with pytest.raises(DslcError) as raised:
        load_records()
    assert raised.value.diagnostics[0].code is Code.MISSING_EXTRA
