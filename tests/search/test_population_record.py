"""The rows of `batches`, read without the code that wrote them, and the samples that readers see in them."""

import sqlite3
import struct
from contextlib import closing
from pathlib import Path

import pytest

from dslc.search import open_run, search
from dslc.search.result import SearchResult
from tests.search.population_reward import reward
from tests.search.toy_search import toy_space


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SearchResult:
    return search(
        toy_space(),
        task=reward,
        strategy="random",
        evaluations=50,
        batch=8,
        control=20,
        run_dir=tmp_path_factory.mktemp("populations") / "run",
    )


def unpack(run_dir: Path) -> list[tuple[int, tuple[int, ...], float, int]]:
    """Batch, sentence, reward and origin of each sample, by the published format alone."""
    samples = []
    with closing(sqlite3.connect(run_dir / "samples.sqlite")) as database:
        for number, tokens, rewards, origin in database.execute("SELECT * FROM batches ORDER BY id"):
            count = len(rewards) // 8
            words = struct.unpack(f"<{len(tokens) // 2}H", tokens)
            width = len(words) // count
            for row, (value, place) in enumerate(zip(struct.unpack(f"<{count}d", rewards), origin, strict=True)):
                sentence = words[row * width : (row + 1) * width]
                samples.append((number, tuple(token for token in sentence if token != 65535), value, place))
    return samples


def test_every_sample_is_in_its_batch(run: SearchResult) -> None:
    samples = unpack(run.run_dir)
    assert len(samples) == 70
    assert [number for number, *_ in samples if number == 0] == [0] * 11  # 8 of the strategy, 3 of the control
    assert [place for _, _, _, place in samples[:11]] == [0] * 8 + [1] * 3
    for _, sentence, value, _ in samples:
        assert len(sentence) == 3
        assert value == sum(sentence) or (value != value and sum(sentence) == 7)


def test_readers_see_them_as_samples(run: SearchResult) -> None:
    samples = unpack(run.run_dir)
    records = list(open_run(run.run_dir).records())
    assert [record.id for record in records] == list(range(1, 71))
    for (number, sentence, value, place), record in zip(samples, records, strict=True):
        assert (record.batch, record.program.tokens) == (number, sentence)
        assert record.origin == ("policy", "uniform")[place]
        assert record.reward == (None if value != value else value)
        assert (record.diagnostic is None) == (value == value)
    best = max(record.reward or 0 for record in records if record.origin == "policy")
    found = run.best
    assert found.reward == best
    assert found.id == next(r.id for r in records if r.reward == best and r.origin == "policy")


def test_samples_hold_the_new_bests_only(run: SearchResult) -> None:
    so_far, bests = float("-inf"), []
    for number, (_, _, value, place) in enumerate(unpack(run.run_dir), start=1):
        if place != 1 and value > so_far:
            so_far = value
            bests.append(number)
    with closing(sqlite3.connect(run.run_dir / "samples.sqlite")) as database:
        assert [row[0] for row in database.execute("SELECT id FROM samples ORDER BY id")] == bests


def test_the_report_counts_what_is_there(run: SearchResult) -> None:
    samples, document = unpack(run.run_dir), run.to_json()
    own = [sample for sample in samples if sample[3] != 1]
    assert document["evaluations"] == 50
    assert document["unique"] == len({sentence for _, sentence, _, _ in own})
    assert document["trained"] == len({sentence for _, sentence, _, _ in samples})
    (failure,) = document["failures"]
    assert failure["code"] == "DSLC612"
    assert failure["count"] == sum(value != value for _, _, value, _ in samples)
    assert document["control"]["samples"] == 20
    top = document["top"]
    assert [entry["reward"] for entry in top] == sorted((entry["reward"] for entry in top), reverse=True)
    assert document["best"]["sample"] == run.best.id
    assert all(len(entry["hash"]) == 64 and entry["text"] for entry in top)
    assert document["curve"][-1]["evaluations"] == 50
