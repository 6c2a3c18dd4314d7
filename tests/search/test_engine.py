"""The loop: counts, memory, control, failures, determinism."""

import math
import random
from pathlib import Path

import pytest

import dslc
from dslc.diagnostics import Code, DslcError
from dslc.search import Candidate, Context, Outcome, open_run, resume, search
from dslc.search.progress import Progress
from dslc.space import Program
from tests.search.toy_search import ToyStrategy, history, sum_of_digits, toy_run, toy_space


def test_counts_ids_and_what_the_strategy_is_told(tmp_path: Path) -> None:
    space = toy_space()
    strategy = ToyStrategy(space)
    result = toy_run(tmp_path / "run", space=space, strategy=strategy, evaluations=47, control=20, batch=10)
    records = list(result.records())
    own = [record for record in records if record.origin != "uniform"]
    assert result.status == "finished"
    assert [record.id for record in records] == list(range(1, 68))
    assert (len(own), len(records) - len(own)) == (47, 20)
    assert [c.tokens for c, _ in strategy.told] == [r.program.tokens for r in own]
    assert [reward for _, reward in strategy.told] == [r.reward for r in own]
    assert all(r.reward == sum_of_digits(r.program, Context(0)) for r in records)
    assert [batch for batch, _ in history(tmp_path / "run")["updates"]] == list(range(5))


def test_the_control_is_spread_over_the_run_and_the_same_whatever_the_strategy(tmp_path: Path) -> None:
    first = toy_run(tmp_path / "a", evaluations=40, control=40, batch=10)
    other = toy_run(tmp_path / "b", evaluations=40, control=40, batch=5, strategy=ToyStrategy(toy_space(), seed=9))
    control = [[(r.program.text, r.log_prob) for r in run.records() if r.origin == "uniform"] for run in (first, other)]
    assert control[0] == control[1]
    assert {record.batch for record in first.records() if record.origin == "uniform"} == {0, 1, 2, 3}
    assert all(log_prob == pytest.approx(-math.log(32)) for _, log_prob in control[0])


def test_equal_programs_are_evaluated_once_and_a_repeat_counts(tmp_path: Path) -> None:
    calls: list[str] = []

    def reward(program: Program, context: Context) -> float:
        calls.append(program.text)
        return context.seed / 2**32

    seen: list[Progress] = []
    result = toy_run(tmp_path / "run", reward, evaluations=200, control=100, callbacks=[seen.append])
    texts = [record.program.text for record in result.records()]
    assert len(texts) == 300
    assert sorted(calls) == sorted(set(texts))
    assert len({(r.program.text, r.reward) for r in result.records()}) == len(set(texts))
    # 32 sentences and 300 samples: the space is exhausted, and that is nothing special.
    assert (seen[-1].exhausted, seen[-1].trained) == (len(calls) == 32, len(calls))
    assert result.status == "finished"


def test_with_a_target_programs_are_told_apart_by_their_graphs(tmp_path: Path) -> None:
    space = dslc.compile("activation")
    calls: list[str] = []

    def reward(program: Program, context: Context) -> float:  # noqa: ARG001
        calls.append(program.hash)
        return 1.0

    sentences = [space.parse(text).tokens for text in ("x x exp sin sub", "x x sin exp sub", "x x exp sin sub")]

    class Fixed(ToyStrategy):
        def ask(self, count: int) -> list[Candidate]:
            return [Candidate(tokens) for tokens in sentences[:count]]

    search(space, task=reward, strategy=Fixed(space), evaluations=3, control=0, batch=3, run_dir=tmp_path / "run")
    assert len(calls) == len(set(calls)) == 2


def test_same_seed_same_history(tmp_path: Path) -> None:
    def noisy(program: Program, context: Context) -> float:  # noqa: ARG001 - the global generator is seeded for each child
        return random.random()

    for name in ("a", "b"):
        random.seed(name)
        toy_run(tmp_path / name, noisy)
    toy_run(tmp_path / "c", noisy, seed=1)
    assert history(tmp_path / "a") == history(tmp_path / "b")
    assert history(tmp_path / "a")["evaluations"] != history(tmp_path / "c")["evaluations"]


def test_a_task_does_not_disturb_the_global_generators(tmp_path: Path) -> None:
    random.seed(5)
    expected = random.Random(5).random()
    toy_run(tmp_path / "run", lambda program, context: random.random(), evaluations=5, control=0)  # noqa: ARG005
    assert random.random() == expected


def test_failed_children_have_no_reward_and_count_as_the_floor(tmp_path: Path) -> None:
    def reward(program: Program, context: Context) -> float:  # noqa: ARG001
        if program.text.startswith("1"):
            raise ValueError("not a one")
        return float("nan") if program.text.startswith("2") else float(program.text[0])

    strategy = ToyStrategy(toy_space())
    reward.floor = -7.0  # type: ignore[attr-defined]
    result = toy_run(tmp_path / "run", reward, strategy=strategy)
    codes = {"1": Code.TASK_RAISED, "2": Code.REWARD_NOT_FINITE}
    for record in result.records():
        first = record.program.text[0]
        assert (record.diagnostic.code if record.diagnostic else None) == codes.get(first)
        assert record.reward == (None if first in codes else float(first))
    told = dict.fromkeys((c.tokens for c, _ in strategy.told), 0.0) | {c.tokens: reward for c, reward in strategy.told}
    assert {r for t, r in told.items() if toy_space().decode(t).text[0] in codes} == {-7.0}
    assert result.best.reward == 4.0


def test_without_a_floor_a_failed_child_counts_as_the_worst_so_far(tmp_path: Path) -> None:
    def reward(program: Program, context: Context) -> float:
        return float("inf") if program.text.startswith("1") else -sum_of_digits(program, context)

    strategy = ToyStrategy(toy_space())
    result = toy_run(tmp_path / "run", reward, strategy=strategy, batch=10)
    worst = math.inf
    own = [record for record in result.records() if record.origin != "uniform"]
    for start in range(0, len(own), 10):
        worst = min([worst, *(r.reward for r in own[start : start + 10] if r.reward is not None)])
        for record, (_, told) in zip(own[start : start + 10], strategy.told[start : start + 10], strict=True):
            assert told == (worst if record.reward is None else record.reward)
    assert info_of(tmp_path / "run")["floor"] is None


def info_of(run_dir: Path) -> dict[str, object]:
    task: dict[str, object] = open_run(run_dir).info["task"]
    return task


def test_ten_failures_of_one_code_before_the_first_success_stop_the_run(tmp_path: Path) -> None:
    def broken(program: Program, context: Context) -> float:  # noqa: ARG001
        raise KeyError("learning_rate")

    result = toy_run(tmp_path / "run", broken)
    assert result.status == "failed"
    assert len({record.program.text for record in result.records()}) == 10
    assert result.notes[-1].code is Code.TOO_MANY_FAILURES
    assert any("KeyError" in note for note in result.notes[-1].notes)
    with pytest.raises(DslcError) as caught:
        _ = result.best
    assert caught.value.diagnostics[0].code is Code.NO_REWARD
    assert resume(tmp_path / "run").status == "failed"


def test_failures_after_a_success_do_not_stop_the_run(tmp_path: Path) -> None:
    calls: list[str] = []

    def reward(program: Program, context: Context) -> float:  # noqa: ARG001
        calls.append(program.text)
        if len(calls) > 1:
            raise ValueError
        return 1.0

    result = toy_run(tmp_path / "run", reward)
    assert (result.status, len(list(result.records()))) == ("finished", 90)


def test_the_best_is_tested_once_at_the_end(tmp_path: Path) -> None:
    tested: list[str] = []

    def reward(program: Program, context: Context) -> Outcome:
        return Outcome(sum_of_digits(program, context), {"length": len(program.tokens)})

    def test(program: Program, context: Context) -> Outcome:  # noqa: ARG001
        tested.append(program.text)
        return Outcome(0.5)

    reward.metric, reward.test = "validation score", test  # type: ignore[attr-defined]
    result = toy_run(tmp_path / "run", reward)
    assert tested == [result.best.program.text]
    assert result.best.metrics == {"length": 3.0}
    assert result.info["best"] == {
        "sample": result.best.id,
        "reward": result.best.reward,
        "test": {"metric": "test score", "value": 0.5},
    }
    resume(tmp_path / "run")
    assert len(tested) == 1


def test_progress_ends_with_the_final_figures(tmp_path: Path) -> None:
    seen: list[Progress] = []
    result = toy_run(tmp_path / "run", callbacks=[seen.append])
    last = seen[-1]
    assert (last.evaluations, last.total, last.control, last.control_total) == (60, 60, 30, 30)
    assert (last.best, last.best_text) == (result.best.reward, result.best.program.text)
    assert last.seconds_left == 0
    control = [r.reward for r in result.records() if r.origin == "uniform" and r.reward is not None]
    assert last.control_mean == pytest.approx(sum(control) / len(control))


@pytest.mark.parametrize("name", ["policy_gradient", "reinforce", "random"])
def test_every_strategy_runs_and_repeats_itself(name: str, tmp_path: Path) -> None:
    for run in ("a", "b"):
        result = search(toy_space(), task=sum_of_digits, strategy=name, evaluations=30, run_dir=tmp_path / run)
        assert {r.origin for r in result.records()} == {"policy", "uniform"}
        assert sum(r.origin == "policy" for r in result.records()) == 30
    assert history(tmp_path / "a") == history(tmp_path / "b")


def test_the_trained_policy_can_be_sampled(tmp_path: Path) -> None:
    result = search(toy_space(), task=sum_of_digits, evaluations=300, control=0, run_dir=tmp_path / "run")
    programs = open_run(tmp_path / "run").sample_policy(200, seed=3)
    assert [p.text for p in programs] == [p.text for p in result.sample_policy(200, seed=3)]
    assert [p.text for p in programs] != [p.text for p in result.sample_policy(200, seed=4)]
    mean = sum(sum_of_digits(p, Context(0)) for p in programs) / 200
    assert mean > 6, "uniform sampling has a mean of 5, the best sentence 8"
