"""English text, character by character: how well a recurrent cell predicts the next one after a short training.

Text: by default the topics of Python's own reference (`pydoc_data.topics`), in the order of their names; they change
with the Python release, so their sha256 is recorded. The option `data` names another file, in UTF-8. The first 90% are
for training, the next 5% for validation, the last 5% for the test. Characters are those of the training part, the 255
most frequent at most; one more stands for all others.

Network: an embedding of the character, one layer of the cell, a linear layer to the scores. The paper's child has two
layers and 35 epochs (zoph2017, section 4.2); here a child is to take about a second: 60 steps of Adam, gradients scaled
to norm 1 at most, on 64 random pieces of 16 characters each. So few steps are meant: children then differ by how fast
they learn, and rewards spread.

Reward: 80 / perplexity^2, the paper's with its usual constant, of the validation part. Perplexities of characters are
much smaller than those of words: guessing by frequency alone has about 27 (a reward of 0.11), good cells after 60 steps
about 9 (a reward of 1).
"""

from __future__ import annotations

import ast
import math
import os
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.search.config import check_options
from dslc.search.outcome import Context, Outcome

if TYPE_CHECKING:
    from torch import Tensor, nn

    from dslc.space import Program, Space

REWARD_SCALE = 80.0
"""c of the reward c / perplexity^2 (zoph2017, section 4.2)."""
MAX_CHARACTERS = 255
"""Characters told apart; a file in another script has thousands, most of them rare."""
FEWEST_CHARACTERS = 2000
"""Less text leaves too little for validation and test."""
REFERENCE_SHA256 = "2a95af4ac93f5b719944030ce3769070ddf827d847cba42192afa8da989e5dc4"
"""Of the text that the stated reference was measured on, that of Python 3.11.7."""
REFERENCE_SEEDS = 3
COMMAND = "python -m dslc.search.tasks.text"


class Corpus(NamedTuple):
    """A text as numbers of characters, int64 [characters]."""

    training: Tensor
    validation: Tensor
    test: Tensor
    num_characters: int
    """Kinds of characters: those that are told apart, and one for all others, whose number is 0."""
    sha256: str
    """Of the whole text in UTF-8."""


class TextTask:
    """80 / perplexity^2 of the next character after a short training; the module says how."""

    name = "text"
    accepts: tuple[str, ...] | None = ("rnn_cell",)
    metric = "validation score"
    """80 / perplexity^2 on the validation part; perplexity is e to the mean loss in nats a character."""
    unit = "80 / perplexity^2"
    floor = 0.0
    reference: tuple[str, float, str] | None = (
        "nn.LSTM of the same size, trained alike",
        0.8276758402996148,
        COMMAND,
    )
    """For the default text and options; `prepare` measures that of others."""
    evaluations = 200
    options: Mapping[str, Any] = {
        "data": "",
        "steps": 60,
        "batch_size": 64,
        "length": 16,
        "hidden_size": 32,
        "learning_rate": 0.04,
    }
    """Options and their defaults; `data` is a file or nothing, `length` the characters of a piece, `learning_rate` the
    first."""

    def prepare(self, space: Space, options: Mapping[str, Any]) -> str:  # noqa: ARG002
        """Load the text, and measure the reference on it if it is not the usual one; returns its sha256.

        Raises:
            DslcError: DSLC631 for a file that cannot be read, DSLC632 for one that is too short, DSLC605 for pieces
                longer than the text.
        """
        options = {**self.options, **options}
        corpus = load_corpus(options)
        if corpus.sha256 != REFERENCE_SHA256 or options != self.options:
            label = TextTask.reference[0] if TextTask.reference else ""
            changed = {name: value for name, value in options.items() if value != self.options[name]}
            words = [COMMAND, *(shlex.quote(f"{name}={value}") for name, value in changed.items())]
            self.reference = (label, measure_reference(options), " ".join(words))
        return corpus.sha256

    def evaluate(self, program: Program, context: Context) -> Outcome:
        """Train a model with the program's cell; the reward is that of the validation part."""
        return self._train(program, context, is_test=False)

    def test(self, program: Program, context: Context) -> Outcome | None:
        """Train once more, with the same seed and so to the same model; the reward is that of the test part."""
        return self._train(program, context, is_test=True)

    def _train(self, program: Program, context: Context, *, is_test: bool) -> Outcome:
        options = {**self.options, **context.options}
        return train_layer(lambda size: build_layer(program, size), context, options, is_test=is_test)


def make_task() -> TextTask:
    """The task."""
    return TextTask()


def build_layer(program: Program, size: int) -> nn.Module:
    """The layer over sequences that the program's source defines, with `size` inputs and outputs."""
    from dslc.program.emit_cell import layer_name
    from dslc.program.load import load_name

    layer: nn.Module = load_name(program.source, layer_name(program.source.class_name))(size, size)
    return layer


def train_layer(
    make_layer: Callable[[int], nn.Module], context: Context, options: Mapping[str, Any], *, is_test: bool
) -> Outcome:
    """Train a model as the module says and score it.

    Args:
        make_layer: gives a layer, called like an nn.LSTM, of so many inputs and outputs.
        context: seed, device, fidelity and where to report.
        options: all of the task's.
        is_test: score on the test part, not on the validation part.

    Returns:
        The reward, or DSLC614 when a loss is not finite. Metrics: perplexity, bits a character, training loss of the
        last step in nats, number of trained parameters.
    """
    import torch

    from dslc.search.character_model import CharacterModel, measure_loss, train_model

    corpus = load_corpus(options)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(context.seed)  # weights are drawn on the CPU, also for a GPU
        size = options["hidden_size"]
        model = CharacterModel(make_layer(size), corpus.num_characters, size).to(context.device)
    steps, training_loss = train_model(
        model,
        corpus.training.to(context.device),
        seed=context.seed,
        steps=max(1, round(options["steps"] * context.fidelity)),
        batch_size=options["batch_size"],
        length=options["length"],
        learning_rate=options["learning_rate"],
        report=context.report,
    )
    if not math.isfinite(training_loss):
        return Outcome(None, diagnostic=_not_finite(f"the training loss became {training_loss} in step {steps}"))
    loss = measure_loss(model, (corpus.test if is_test else corpus.validation).to(context.device))
    if not math.isfinite(loss):
        part = "test" if is_test else "validation"
        return Outcome(None, diagnostic=_not_finite(f"the loss on the {part} text is {loss}"))
    metrics = {
        "perplexity": math.exp(min(loss, 700.0)),  # the largest float is e to the 709
        "bits a character": loss / math.log(2),
        "training loss": training_loss,
        "parameters": float(sum(parameter.numel() for parameter in model.parameters())),
    }
    return Outcome(REWARD_SCALE * math.exp(-2 * loss), metrics)


# --- the text ---------------------------------------------------------------------------------------------------------


def load_corpus(options: Mapping[str, Any]) -> Corpus:
    """The text that the options name; a file is read again only when it has changed.

    Raises:
        DslcError: as `TextTask.prepare`.
    """
    path = options["data"]
    if not path:
        corpus = _load_reference_text()
    else:
        try:
            state = os.stat(path)
        except OSError as error:
            raise _unreadable(path, error.strerror or str(error)) from error
        corpus = _load_file(path, state.st_mtime_ns, state.st_size)
    if options["length"] >= len(corpus.training):
        message = (
            f"option `length` is {options['length']!r}, and the training text has {len(corpus.training)} characters"
        )
        raise DslcError(Diagnostic(Code.BAD_SETTING, Severity.ERROR, message, help="give a smaller one, such as 16"))
    return corpus


@lru_cache(maxsize=1)
def _load_reference_text() -> Corpus:
    from pydoc_data.topics import topics

    return split_text("\n".join(topics[name] for name in sorted(topics)))


@lru_cache(maxsize=4)
def _load_file(path: str, modified: int, size: int) -> Corpus:  # noqa: ARG001
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise _unreadable(path, f"byte {error.start + 1} is no UTF-8") from error
    if len(text) < FEWEST_CHARACTERS:
        message = f"`{path}` has {len(text)} characters, too few to train, validate and test on"
        help = f"give a text of at least {FEWEST_CHARACTERS} characters; some 100,000 are better"
        raise DslcError(Diagnostic(Code.BAD_DATA, Severity.ERROR, message, help=help))
    return split_text(text)


def split_text(text: str) -> Corpus:
    """Training, validation and test part, in this order and as numbers."""
    import torch

    ends = (len(text) * 90 // 100, len(text) * 95 // 100)
    counts = Counter(text[: ends[0]])
    frequent = sorted(counts, key=lambda character: (-counts[character], character))[:MAX_CHARACTERS]
    number_of = {character: number for number, character in enumerate(sorted(frequent), start=1)}
    numbers = torch.tensor([number_of.get(character, 0) for character in text], dtype=torch.int64)
    training, validation, test = numbers[: ends[0]], numbers[ends[0] : ends[1]], numbers[ends[1] :]
    return Corpus(training, validation, test, len(frequent) + 1, sha256(text.encode()).hexdigest())


def _unreadable(path: str, why: str) -> DslcError:
    message = f"`{path}` cannot be read: {why}"
    return DslcError(Diagnostic(Code.DATA_UNREADABLE, Severity.ERROR, message, help="give the path of a text in UTF-8"))


def _not_finite(message: str) -> Diagnostic:
    help = "a lower `learning_rate` may train this program; the search counts it as failed"
    return Diagnostic(Code.LOSS_NOT_FINITE, Severity.ERROR, message, help=help)


# --- the reference ----------------------------------------------------------------------------------------------------


def measure_reference(options: Mapping[str, Any], *, is_test: bool = False) -> float:
    """Mean reward over three seeds of nn.LSTM, bias included, in place of the program's layer."""
    from torch import nn

    rewards = [
        train_layer(lambda size: nn.LSTM(size, size), Context(seed), options, is_test=is_test).reward
        for seed in range(REFERENCE_SEEDS)
    ]
    return math.fsum(reward or 0.0 for reward in rewards) / REFERENCE_SEEDS


def main(settings: list[str]) -> None:
    """Print the reference for options such as `data=novel.txt` or `steps=200`."""
    given = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        given[name] = value if name == "data" else ast.literal_eval(value)
    options = check_options(TextTask.name, given, TextTask.options)
    print(f"nn.LSTM of the same size, trained alike, mean of {REFERENCE_SEEDS} seeds")
    for part, is_test in (("validation", False), ("test", True)):
        reward = measure_reference(options, is_test=is_test)
        print(f"{part}: {reward:.4f} (perplexity {math.sqrt(REWARD_SCALE / reward):.2f})")
    print(f"text: sha256 {load_corpus(options).sha256}")


if __name__ == "__main__":
    main(sys.argv[1:])
