"""Stop rules: a run with one is the run without it, up to the first end of a batch at which the rule is met."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import dslc.search.engine
from dslc.diagnostics import Code, DslcError
from dslc.search import Candidate, Context, open_run, resume, search
from dslc.search.stopping import Standing, StopRule, find_met_rule
from dslc.space import Program
from tests.search.toy_search import ToyStrategy, history, sum_of_digits, toy_run, toy_space

Rows = dict[str, list[tuple[Any, ...]]]


class Crash(BaseException):
    """Ends a search at once, as a kill does."""


@dataclass
class Clock:
    """Time as the engine sees it: it passes only where a reward says so."""

    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now

    def perf_counter(self) -> float:
        return self.now


def first_batches(whole: Rows, count: int) -> Rows:
    """A history up to the end of its `count` first batches."""
    samples = [row for row in whole["samples"] if row[1] < count]
    hashes = {row[5] for row in samples}
    evaluations = [row for row in whole["evaluations"] if row[0] in hashes]
    return {"samples": samples, "evaluations": evaluations, "updates": whole["updates"][:count]}


def batches_until_no_better(whole: Rows, patience: int) -> int:
    """Batches that a run of that patience has, found by walking over the samples of the run without the rule."""
    reward_by_hash = {row[0]: row[2] for row in whole["evaluations"]}
    best, waited, last = -float("inf"), 0, 0
    for _, batch, _, _, _, program_hash, origin, _ in whole["samples"]:
        if batch != last and waited >= patience:
            return last + 1
        last = batch
        if origin != "uniform":
            reward = reward_by_hash[program_hash]
            is_better = reward is not None and reward > best
            best, waited = (reward, 0) if is_better else (best, waited + 1)
    return last + 1


def crashing(reward: Callable[[Program, Context], float], calls: int) -> Callable[[Program, Context], float]:
    """The reward, until it has been asked for so often."""
    left = [calls]

    def task(program: Program, context: Context) -> float:
        left[0] -= 1
        if left[0] < 0:
            raise Crash
        return reward(program, context)

    return task


def rugged(program: Program, context: Context) -> float:
    """A reward with a new best now and then; one sentence in four has none."""
    return float("nan") if program.text.startswith("2") else sum_of_digits(program, context) + context.seed / 2**32


@pytest.mark.parametrize("seed", range(8))
def test_patience_cuts_the_history_and_nothing_else(seed: int, tmp_path: Path) -> None:
    generator = random.Random(seed)
    batch, patience = generator.randint(1, 9), generator.randint(1, 25)
    settings = {"evaluations": 80, "control": generator.randint(0, 60), "batch": batch, "seed": seed}
    rows = history(toy_run(tmp_path / "whole", rugged, **settings).run_dir)
    stopped = toy_run(tmp_path / "stopped", rugged, until={"patience": patience}, **settings)
    count = batches_until_no_better(rows, patience)
    assert history(stopped.run_dir) == first_batches(rows, count)
    is_early = count < len(rows["updates"])
    rule = {"rule": "patience", "limit": patience} if is_early else {"rule": "evaluations", "limit": 80}
    assert (stopped.status, stopped.info["stopped_by"]) == ("finished", rule)
    own = sum(row[6] != "uniform" for row in first_batches(rows, count)["samples"])
    assert len(history(stopped.run_dir)["samples"]) - own == settings["control"] * own // 80


@pytest.mark.parametrize("seed", range(8))
def test_a_killed_run_stops_where_it_would_have_stopped(seed: int, tmp_path: Path, monkeypatch: Any) -> None:
    generator = random.Random(seed)
    monkeypatch.setattr(dslc.search.engine, "CHECKPOINT_SECONDS", generator.choice([0.0, 0.02, 100.0]))
    settings: dict[str, Any] = {"evaluations": 80, "batch": 5, "until": {"patience": 12}, "seed": seed}
    whole = toy_run(tmp_path / "whole", rugged, **settings)
    killed = tmp_path / "killed"
    with pytest.raises(Crash):
        toy_run(killed, crashing(rugged, generator.randint(0, 10)), **settings)
    resume(killed, task=crashing(rugged, 1000), strategy=ToyStrategy(toy_space()))
    assert history(killed) == history(whole.run_dir)
    assert open_run(killed).info["stopped_by"] == whole.info["stopped_by"]


def test_a_run_killed_while_its_best_is_tested_goes_no_further(tmp_path: Path) -> None:
    def reward(program: Program, context: Context) -> float:
        return rugged(program, context)

    def test(program: Program, context: Context) -> float:  # noqa: ARG001
        raise Crash

    reward.test = test  # type: ignore[attr-defined]
    with pytest.raises(Crash):
        toy_run(tmp_path / "run", reward, evaluations=80, batch=5, until={"patience": 10})
    before = history(tmp_path / "run")
    result = resume(tmp_path / "run", task=rugged, strategy=ToyStrategy(toy_space()))
    assert (result.status, result.info["stopped_by"]) == ("finished", {"rule": "patience", "limit": 10})
    assert history(tmp_path / "run") == before


def test_a_run_ended_by_a_rule_comes_back_as_it_is(tmp_path: Path) -> None:
    toy_run(tmp_path / "run", rugged, evaluations=80, until={"patience": 10})
    before = history(tmp_path / "run")
    assert resume(tmp_path / "run", task=crashing(rugged, 0)).status == "finished"
    assert history(tmp_path / "run") == before


@pytest.mark.parametrize("stop_after", [None, 3, 17, 24, 29])
def test_seconds_are_those_of_all_sessions(stop_after: int | None, tmp_path: Path, monkeypatch: Any) -> None:
    clock = Clock()
    monkeypatch.setattr(dslc.search.engine, "time", clock)
    # The last reward before an interruption costs its second, too: what it came to is dropped, its time is not.
    calls = [0]

    def reward(program: Program, context: Context) -> float:
        calls[0] += 1
        clock.now += 1.0
        if calls[0] == stop_after:
            raise KeyboardInterrupt
        return sum_of_digits(program, context)

    space = long_space()
    settings: dict[str, Any] = {"space": space, "evaluations": 100, "control": 0, "batch": 5}
    rows = history(toy_run(tmp_path / "whole", **settings).run_dir)
    result = toy_run(tmp_path / "run", reward, until={"seconds": 23}, **settings)
    if stop_after is not None and stop_after <= 25:
        assert (result.status, result.info["stopped_by"]) == ("interrupted", None)
        clock.now += 5000.0  # between the sessions
        resume(tmp_path / "run", task=reward, strategy=ToyStrategy(space))
    # The first end of a batch of 5 after 23 seconds.
    assert open_run(tmp_path / "run").info["stopped_by"] == {"rule": "seconds", "limit": 23}
    assert history(tmp_path / "run") == first_batches(rows, 5)


def test_time_that_is_up_does_not_leave_samples_out(tmp_path: Path, monkeypatch: Any) -> None:
    """After a crash without a checkpoint, what was recorded is taken up again, even where the time is over by then."""
    clock = Clock()
    monkeypatch.setattr(dslc.search.engine, "time", clock)
    space = long_space()

    def reward(program: Program, context: Context) -> float:
        return sum_of_digits(program, context)

    settings: dict[str, Any] = {"space": space, "evaluations": 100, "control": 50, "batch": 5, "until": {"seconds": 1}}
    with pytest.raises(Crash):
        toy_run(tmp_path / "run", crashing(reward, 38), **settings)
    recorded = len(history(tmp_path / "run")["samples"])

    class SlowStrategy(ToyStrategy):
        def ask(self, count: int) -> list[Candidate]:
            clock.now += 9.0
            return super().ask(count)

    clock.now += 10.0
    result = resume(tmp_path / "run", task=reward, strategy=SlowStrategy(space))
    samples = history(tmp_path / "run")["samples"]
    assert len(samples) >= recorded
    assert len({row[1] for row in samples}) == samples[-1][1] + 1
    assert result.info["stopped_by"] == {"rule": "seconds", "limit": 1}
    assert sum(row[6] != "uniform" for row in samples) % 5 == 0, "whole batches"


def long_space() -> Any:
    """Thousands of sentences, so that nearly every sample is a program of its own."""
    text = 'start: A A A A A A\nA: "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8"\n%ignore " "\n'
    return dslc.compile_text(text, name="long.lark")


@pytest.mark.parametrize("strategy", ["policy_gradient", "reinforce"])
def test_entropy_stops_after_the_first_batch_below_it(strategy: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"task": sum_of_digits, "strategy": strategy, "evaluations": 300, "control": 30}
    whole = search(toy_space(), run_dir=tmp_path / "whole", **settings)
    rows = history(whole.run_dir)
    entropies = [json.loads(figures)["entropy"] for _, figures in rows["updates"]]
    limit = (max(entropies) + min(entropies)) / 2
    count = next(number for number, entropy in enumerate(entropies, start=1) if entropy < limit)
    assert 1 < count < len(entropies)
    stopped = search(toy_space(), run_dir=tmp_path / "stopped", until={"entropy": limit}, **settings)
    assert history(stopped.run_dir) == first_batches(rows, count)
    assert stopped.info["stopped_by"] == {"rule": "entropy", "limit": limit}
    assert [p.text for p in stopped.sample_policy(5)], "the last checkpoint is that of the end"


def test_the_first_rule_met_is_the_one_named(tmp_path: Path) -> None:
    result = toy_run(tmp_path / "a", evaluations=80, batch=5, until={"patience": 10, "seconds": 1e6})
    assert result.info["stopped_by"]["rule"] == "patience"
    result = toy_run(tmp_path / "b", evaluations=None, batch=5, until={"patience": 10**9, "evaluations": 15})
    assert result.info["stopped_by"] == {"rule": "evaluations", "limit": 15}
    assert (result.info["config"]["evaluations"], result.info["config"]["until"]) == (15, {"patience": 10**9})
    assert find_met_rule(5, {"patience": 1, "seconds": 1}, Standing(5, 5, 5.0, None)) is StopRule.EVALUATIONS


def test_without_a_rule_nothing_is_different(tmp_path: Path) -> None:
    plain = toy_run(tmp_path / "plain")
    ruled = toy_run(tmp_path / "ruled", until={"patience": 10**9, "seconds": 1e9})
    assert history(plain.run_dir) == history(ruled.run_dir)
    assert plain.info["stopped_by"] == ruled.info["stopped_by"] == {"rule": "evaluations", "limit": 60}


def test_a_run_of_before_there_were_rules_goes_on(tmp_path: Path) -> None:
    whole = toy_run(tmp_path / "whole")
    with pytest.raises(Crash):
        toy_run(tmp_path / "old", crashing(sum_of_digits, 15))
    path = tmp_path / "old" / "run.json"
    info = json.loads(path.read_text())
    del info["config"]["until"]
    path.write_text(json.dumps(info))
    for checkpoint in (tmp_path / "old" / "checkpoints").glob("*.json"):
        content = json.loads(checkpoint.read_text())
        for name in ("stopped_by", "best_evaluation"):
            del content["counters"][name]
        checkpoint.write_text(json.dumps(content))
    assert open_run(tmp_path / "old").to_json()["stopped_by"] is None
    resume(tmp_path / "old", task=sum_of_digits, strategy=ToyStrategy(toy_space()))
    assert history(tmp_path / "old") == history(whole.run_dir)


@pytest.mark.parametrize(
    ("until", "wanted"),
    [
        ({"patience": 0}, "give a whole number from 1 to 1000000000"),
        ({"patience": 2.5}, "give a whole number from 1 to 1000000000"),
        ({"patience": "many"}, "give a whole number from 1 to 1000000000"),
        ({"seconds": 0}, "give a number above 0, in seconds"),
        ({"seconds": float("inf")}, "give a number above 0, in seconds"),
        ({"entropy": -0.5}, "give a number above 0, in nats a token"),
        ({"entropy": float("nan")}, "give a number above 0, in nats a token"),
        ({"evaluations": 0}, "give a whole number from 1 to 1000000000"),
        ({"evaluations": 30}, "give the number once: the two mean the same"),
    ],
)
def test_bad_values_are_refused_with_what_is_allowed(until: dict[str, Any], wanted: str, tmp_path: Path) -> None:
    given = 60 if until.get("evaluations") == 30 else None
    with pytest.raises(DslcError) as caught:
        toy_run(tmp_path / "run", until=until, evaluations=given)
    assert [(p.code, p.help) for p in caught.value.diagnostics] == [(Code.BAD_SETTING, wanted)]
    assert not (tmp_path / "run").exists()


def test_unknown_rules_are_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(DslcError) as caught:
        toy_run(tmp_path / "run", until={"patients": 3})
    (problem,) = caught.value.diagnostics
    assert problem.code is Code.UNKNOWN_OPTION
    assert (problem.help or "").startswith("did you mean `patience`?")


def test_a_strategy_that_tells_no_entropy_is_refused_by_name(tmp_path: Path) -> None:
    strategies: Sequence[Any] = ("random", ToyStrategy(toy_space()))
    for strategy in strategies:
        with pytest.raises(DslcError) as caught:
            toy_run(tmp_path / "run", strategy=strategy, until={"entropy": 0.1})
        (problem,) = caught.value.diagnostics
        assert problem.code is Code.BAD_SETTING
        assert f"`{strategy if isinstance(strategy, str) else 'toy'}`" in problem.message
    assert not (tmp_path / "run").exists()
