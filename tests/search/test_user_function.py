"""`module:function`: found once, at the start, or an error that says where it was looked for."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dslc.diagnostics import Code, Diagnostic, DslcError
from dslc.search import Context, resume
from dslc.search.evaluate import evaluate_program
from dslc.search.tasks import describe_task, describe_tasks, get_task, task_names
from dslc.search.tasks.user_function import UserFunction
from tests.search.toy_search import ToyStrategy, sum_of_digits, toy_run, toy_space


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current folder of its own; modules imported from it are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in (getattr(sys.modules[name], "__file__", None) or ""):
            del sys.modules[name]


def problem_of(name: str) -> Diagnostic:
    with pytest.raises(DslcError) as caught:
        get_task(name)
    return caught.value.diagnostics[0]


def test_a_module_in_the_current_folder_is_found(folder: Path) -> None:
    (folder / "my_reward_a.py").write_text("def score(program, context):\n    return len(program.tokens)\n")
    task = get_task("my_reward_a:score")
    assert task.name == "my_reward_a:score"
    assert evaluate_program(task, toy_space()[0], Context(0)).reward == 3
    assert (task.accepts, task.metric, task.unit, task.reference, task.evaluations) == (None, "reward", "", None, 200)


def test_an_unknown_module_tells_the_path_that_was_tried(folder: Path) -> None:
    problem = problem_of("no_such_module.sub:score")
    assert problem.code is Code.TASK_NOT_FOUND
    assert "no module `no_such_module`" in problem.message
    assert str(folder / "no_such_module" / "sub.py") in problem.notes[0]
    assert str(folder) in problem.notes[1]


def test_an_unknown_function_tells_the_nearest(folder: Path) -> None:
    (folder / "my_reward_b.py").write_text("value = 3\ndef score(program, context):\n    return 1\n")
    problem = problem_of("my_reward_b:scor")
    assert problem.code is Code.TASK_NOT_FOUND
    assert "did you mean `my_reward_b:score`?" in (problem.help or "")
    assert str(folder / "my_reward_b.py") in problem.notes[0]
    assert "is not a function" in problem_of("my_reward_b:value").message
    assert "does not exist" in problem_of("my_reward_b:").message


def test_a_module_that_fails_shows_its_own_frames(folder: Path) -> None:
    (folder / "my_reward_c.py").write_text("import nothing_of_that_name\n")
    (folder / "my_reward_d.py").write_text("x = 1 / 0\n")
    (folder / "my_reward_e.py").write_text("def broken(:\n")
    first, second, third = (problem_of(f"my_reward_{letter}:score") for letter in "cde")
    assert "No module named 'nothing_of_that_name'" in first.message
    assert first.notes == (f"{folder / 'my_reward_c.py'}:1 in <module>: import nothing_of_that_name",)
    assert "ZeroDivisionError" in second.message
    assert second.notes == (f"{folder / 'my_reward_d.py'}:1 in <module>: x = 1 / 0",)
    assert "SyntaxError" in third.message


def test_an_unknown_name_tells_the_nearest_task() -> None:
    problem = problem_of("digit")
    assert problem.code is Code.UNKNOWN_TASK
    assert "did you mean `digits`?" in (problem.help or "")


def test_a_function_can_declare_what_a_task_declares() -> None:
    def score(program: object, context: object) -> float:  # noqa: ARG001
        return 1.0

    for name, value in {"metric": "speed", "unit": "1/s", "floor": 0.0, "options": {"depth": 2}}.items():
        setattr(score, name, value)
    described = describe_task(UserFunction(score, "m:score"))
    assert (described["metric"], described["unit"], described["floor"]) == ("speed", "1/s", 0.0)
    assert described["options"] == {"depth": 2}
    with pytest.raises(DslcError):
        toy_run(Path("run"), score, options={"dept": 3})
    toy_run(Path("run"), score, options={"depth": 3}, evaluations=2)


def test_options_of_a_function_that_declares_none_are_passed_on() -> None:
    seen = []

    def score(program: object, context: Context) -> float:  # noqa: ARG001
        seen.append(context.options["anything"])
        return 1.0

    toy_run(Path("run"), score, options={"anything": [1]}, evaluations=1, control=0)
    assert seen == [[1]]


def test_a_resumed_run_finds_its_function_from_another_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = "\n    if len(calls) == 5: raise KeyboardInterrupt"
    source = "calls = []\ndef score(program, context):\n    calls.append(1){}\n    return len(program.text)\n"
    (folder / "my_reward_f.py").write_text(source.format(stop))
    assert toy_run(folder / "run", "my_reward_f:score").status == "interrupted"
    sys.path.remove(str(folder))
    monkeypatch.chdir("/")
    assert resume(folder / "run", strategy=ToyStrategy(toy_space())).status == "finished"


def test_a_function_without_a_name_to_find_it_by_is_asked_for(folder: Path) -> None:
    calls: list[int] = []

    def score(program: object, context: object) -> float:  # noqa: ARG001
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return 1.0

    toy_run(folder / "run", score)
    with pytest.raises(DslcError) as caught:
        resume(folder / "run")
    assert caught.value.diagnostics[-1].code is Code.TASK_NEEDED
    assert resume(folder / "run", task=sum_of_digits, strategy=ToyStrategy(toy_space())).status == "finished"


def test_shipped_tasks_are_described() -> None:
    tasks = {task["name"]: task for task in describe_tasks()}
    assert tuple(tasks) == task_names()
    assert {"conv_net", "activation"} <= set(tasks["digits"]["accepts"])
    assert set(tasks["digits"]["options"]) == {"epochs", "batch_size", "learning_rate"}
    assert tasks["optimize"]["accepts"] == ["optimizer"]
    assert set(tasks["optimize"]["options"]) == {"epochs", "batch_size", "sweep_steps"}
