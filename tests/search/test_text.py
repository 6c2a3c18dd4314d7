"""The text task: the text and its parts, training and reward against slow sums, failures, files."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import dslc
from dslc.diagnostics import Code, DslcError
from dslc.search import Context, search
from dslc.search.character_model import CharacterModel, measure_loss, train_model
from dslc.search.evaluate import evaluate_program
from dslc.search.tasks.text import (
    REFERENCE_SHA256,
    Corpus,
    TextTask,
    build_layer,
    load_corpus,
    main,
    measure_reference,
    split_text,
    train_layer,
)
from dslc.space import Program
from tests.dslc.cell_references import LSTM_LIKE
from tests.dslc.command_line import run

DEFAULTS = dict(TextTask.options)
SHORT = {"steps": 4}


@pytest.fixture(scope="module")
def space() -> dslc.Space:
    return dslc.compile("rnn_cell")


@pytest.fixture(scope="module")
def program(space: dslc.Space) -> Program:
    return space.parse(LSTM_LIKE)


# --- the text ---------------------------------------------------------------------------------------------------------


def test_the_reference_text_is_split_in_order_and_whole() -> None:
    from pydoc_data.topics import topics

    corpus = load_corpus(DEFAULTS)
    parts = torch.cat(corpus[:3])
    text = "\n".join(topics[name] for name in sorted(topics))
    assert len(parts) == len(text) > 300_000
    assert [round(len(part) / len(text), 3) for part in corpus[:3]] == [0.9, 0.05, 0.05]
    for character in "e\nQ":
        places = torch.tensor([c == character for c in text])
        assert len(set(parts[places].tolist())) == 1
        assert not (parts[~places] == parts[places][0]).any()
    assert int(parts.max()) == corpus.num_characters - 1


def test_rare_and_new_characters_share_a_number() -> None:
    text = "ab" * 900 + "".join(map(chr, range(1000, 1400))) + "a" * 50 + "z" * 150
    corpus = split_text(text)
    assert corpus.num_characters == 256
    assert set(corpus.training.tolist()) == set(range(256))
    assert set(corpus.test.tolist()) == {0}, "z is in no training text"
    assert set(split_text("abc" * 1000).training.tolist()) == {1, 2, 3}


# --- training ---------------------------------------------------------------------------------------------------------


def test_the_loss_is_that_of_each_column_read_step_by_step(program: Program) -> None:
    torch.manual_seed(0)
    layer: Any = build_layer(program, 5)
    model = CharacterModel(layer, 7, 5)
    text = torch.randint(7, (64 * 6 + 3,))
    total = 0.0
    for column in range(64):
        state = (torch.zeros(5), torch.zeros(5))
        for step in range(6):
            here = 6 * column + step
            state = layer.cell(model.embedding.weight[text[here]], state)
            probability = torch.softmax(model.scores(state[0]), 0)[text[here + 1]]
            total -= math.log(float(probability.detach()))
    assert measure_loss(model, text) == pytest.approx(total / (64 * 6), rel=1e-5)


def test_only_the_first_characters_of_a_long_column_count() -> None:
    class Recorder(nn.Module):
        def forward(self, embedded: Tensor) -> tuple[Tensor, None]:
            self.shape = embedded.shape
            return embedded, None

    layer = Recorder()
    measure_loss(CharacterModel(layer, 3, 2), torch.zeros(64 * 1000 + 1, dtype=torch.int64))
    assert layer.shape == (512, 64, 2)


def test_a_training_learns_what_follows_what() -> None:
    """After a the next is always b, after b always a: the loss goes to zero, and the reports say so."""
    torch.manual_seed(0)
    model = CharacterModel(nn.LSTM(8, 8), 3, 8)
    reports: list[tuple[int, float]] = []

    def note(step: int, value: float) -> bool:
        reports.append((step, value))
        return True

    text = torch.tensor([1, 2] * 500)
    steps, loss = train_model(
        model,
        text,
        seed=0,
        steps=60,
        batch_size=8,
        length=10,
        learning_rate=0.1,
        report=note,
    )
    assert (steps, [step for step, _ in reports]) == (60, [9, 19, 29, 39, 49, 59])
    assert loss == -reports[-1][1] < -reports[0][1] < 0.05
    assert measure_loss(model, text) < 0.05


def test_the_reward_is_80_over_the_square_of_the_perplexity_and_above_that_of_guessing(program: Program) -> None:
    task = TextTask()
    one, again, other = (evaluate_program(task, program, Context(seed, options=SHORT)) for seed in (7, 7, 8))
    assert one == again
    assert one.reward != other.reward
    first = evaluate_program(task, program, Context(7))
    assert first.reward == pytest.approx(80 / first.metrics["perplexity"] ** 2)
    assert 2 ** first.metrics["bits a character"] == pytest.approx(first.metrics["perplexity"])
    corpus = load_corpus(DEFAULTS)
    assert first.metrics["parameters"] == 32 * 32 * 16 + corpus.num_characters * (32 + 33)
    # Guessing by frequency in the training text.
    counts, total = Counter(corpus.training.tolist()), len(corpus.training)
    losses = [-math.log(counts[number] / total) for number in corpus.validation.tolist() if counts[number]]
    assert first.reward is not None
    assert first.reward > 2 * 80 / math.exp(sum(losses) / len(losses)) ** 2
    half = evaluate_program(task, program, Context(7, fidelity=0.5))
    assert half.reward is not None
    assert half.reward < first.reward


def test_the_test_trains_the_same_model_and_reads_other_text(program: Program) -> None:
    validation, test = (call(program, Context(7, options=SHORT)) for call in (TextTask().evaluate, TextTask().test))
    assert test is not None
    assert validation is not None
    assert test.metrics["training loss"] == validation.metrics["training loss"]
    assert test.reward != validation.reward


def test_training_stops_when_the_context_says_so(program: Program) -> None:
    steps: list[int] = []

    def stop(step: int, value: float) -> bool:  # noqa: ARG001
        steps.append(step)
        return False

    outcome = TextTask().evaluate(program, Context(0, options={"steps": 500}, report=stop))
    assert steps == [9]
    assert outcome.reward is not None


class Growing(nn.Module):
    """A layer whose values are multiplied where it reads more than `limit` characters."""

    def __init__(self, factor: float, limit: int) -> None:
        super().__init__()
        self.factor, self.limit = factor, limit

    def forward(self, embedded: Tensor) -> tuple[Tensor, None]:
        return embedded * (self.factor if len(embedded) > self.limit else 1.0), None


@pytest.mark.parametrize(
    ("limit", "message"),
    [(0, "the training loss became nan in step 1"), (16, "the loss on the validation text is nan")],
)
def test_a_loss_that_is_not_finite_is_a_failure(limit: int, message: str) -> None:
    options = {**DEFAULTS, **SHORT}
    outcome = train_layer(lambda _: Growing(math.inf, limit), Context(0), options, is_test=False)
    assert outcome.reward is None
    assert outcome.diagnostic is not None
    assert outcome.diagnostic.code is Code.LOSS_NOT_FINITE
    assert outcome.diagnostic.message == message


def test_a_huge_loss_is_no_reward_but_a_number() -> None:
    outcome = train_layer(lambda _: Growing(1e30, 16), Context(0), {**DEFAULTS, **SHORT}, is_test=False)
    assert outcome.reward == 0.0
    assert 1e300 < outcome.metrics["perplexity"] < math.inf


def test_an_exception_in_a_cell_names_its_rule(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "tanh", lambda value: value @ value)  # as if the cell did not fit
    program = program.space.decode(program.tokens)
    outcome = evaluate_program(TextTask(), program, Context(0, options=SHORT))
    assert outcome.diagnostic is not None
    assert outcome.diagnostic.code is Code.EMITTED_CODE_FAILED
    assert outcome.diagnostic.notes[0].startswith("it comes from `leaf`, tokens 7 to 8 of the sentence")


# --- runs and files ---------------------------------------------------------------------------------------------------


@pytest.fixture
def novel(tmp_path: Path) -> Path:
    path = tmp_path / "novel.txt"
    path.write_text("\ufeff" + "It was a bright cold day in April, and the clocks were striking thirteen. " * 60)
    return path


def test_a_search_in_a_file_records_its_sha256(novel: Path) -> None:
    folder = novel.parent / "run"
    done = run(
        *("search", "rnn_cell", "--task", "text", "--data", novel, "--set", "steps=3", "--evaluations", "2"),
        *("--control", "1", "--run", folder, "--json"),
    )
    assert done.code == 0, done.err
    document = done.document
    text = novel.read_text(encoding="utf-8-sig")
    assert document["environment"]["data_sha256"] == split_text(text).sha256
    assert document["task"]["options"]["data"] == str(novel)
    assert document["best"]["test"]["metric"] == "test score"
    reference = document["task"]["reference"]
    assert reference["command"] == f"python -m dslc.search.tasks.text data={novel} steps=3"
    options = {**DEFAULTS, "data": str(novel), "steps": 3}
    assert reference["value"] == pytest.approx(measure_reference(options))
    other = run("search", "rnn_cell", "--task", "text", "--data", novel.parent / "no.txt", "--run", folder / "2")
    assert other.code == 1
    assert "DSLC631" in other.err


@pytest.mark.parametrize(
    ("content", "options", "code"),
    [
        (b"short", {}, Code.BAD_DATA),
        (b"\xff\xfe" + b"ab" * 2000, {}, Code.DATA_UNREADABLE),
        (b"ab" * 2000, {"length": 3600}, Code.BAD_SETTING),
        (None, {}, Code.DATA_UNREADABLE),
    ],
)
def test_files_that_cannot_be_used(
    space: dslc.Space, tmp_path: Path, content: bytes | None, options: dict[str, Any], code: Code
) -> None:
    path = tmp_path / "text.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DslcError) as error:
        search(space, task="text", options={"data": str(path), **options}, run_dir=tmp_path / "run")
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.code is code
    assert diagnostic.help
    assert not (tmp_path / "run").exists()


def test_a_file_that_changes_is_read_again(novel: Path) -> None:
    options = {**DEFAULTS, "data": str(novel)}
    first: Corpus = load_corpus(options)
    assert load_corpus(options) is first
    novel.write_text("Another text. " * 500)
    assert load_corpus(options).sha256 != first.sha256


def test_the_stated_reference_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert TextTask.reference is not None
    if load_corpus(DEFAULTS).sha256 != REFERENCE_SHA256:
        # The text of another Python release: prepare measures anew.
        task = TextTask()
        task.prepare(dslc.compile("rnn_cell"), {})
        assert task.reference is not None
        assert task.reference[1] == pytest.approx(measure_reference(DEFAULTS))
        return
    assert measure_reference(DEFAULTS) == pytest.approx(TextTask.reference[1], rel=0.02)
    main(["steps=2", "hidden_size=4"])
    printed = capsys.readouterr().out
    assert f"validation: {measure_reference({**DEFAULTS, 'steps': 2, 'hidden_size': 4}):.4f} (perplexity " in printed
    assert REFERENCE_SHA256 in printed


@pytest.mark.gpu
def test_on_the_gpu(program: Program) -> None:
    on_cpu, on_gpu = (
        TextTask().evaluate(program, Context(0, device=device, options=SHORT)).reward for device in ("cpu", "cuda")
    )
    assert on_gpu == pytest.approx(on_cpu, rel=1e-2)
