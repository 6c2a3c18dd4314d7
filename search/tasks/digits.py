"""Handwritten digits: 1,797 grey images of 8 x 8 pixels that come with scikit-learn; most children train in a second.

Split, fixed and by class: 60% training, 20% validation, 20% test. Pixels are standardised by mean and standard
deviation of all training pixels. A conv_net program is the network, with `in_channels=1, num_classes=10`. An activation
program is put into a fixed network: convolution 3 x 3 to 16 channels, batch norm, activation; convolution 3 x 3 with
stride 2 to 32 channels, batch norm, activation; mean over the image; linear to 10 classes. Each activation there is an
instance of its own, trained with the rest. A piecewise-linear or Fourier activation stands in the same network and is
told that its channels have 8 x 8 places there and 4 x 4, for values of its own in each. A conv_cell program stands
twice in a fixed network with weights of its own in each place: 16 channels on 8 x 8 places, then 32 on 4 x 4; see
`dslc/search/cell_network.py`.

Training: cross-entropy, SGD with Nesterov momentum 0.9 and weight decay 1e-4 (the paper's child, zoph2017 section 4.1),
learning rate from 0.1 (the paper's) along half a cosine to 0 at the end of the last step, 3 epochs in batches of 128.
So few steps are meant: children then differ by how fast they learn, and rewards spread.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from dslc.diagnostics import Code, Diagnostic, Severity
from dslc.search.missing_extra import missing_extra
from dslc.search.outcome import Context, Outcome

if TYPE_CHECKING:
    from torch import Tensor, nn

    from dslc.space import Program, Space

NUM_CLASSES = 10
MOMENTUM = 0.9
WEIGHT_DECAY = 1e-4
SPLIT_SEED = 0
"""Of the split into training, validation and test; the same in every run."""


class Part(NamedTuple):
    """One part of the data."""

    images: Tensor
    """float32 [samples, 1, 8, 8], standardised."""
    labels: Tensor
    """int64 [samples]."""


class Digits(NamedTuple):
    """The data, split."""

    training: Part
    validation: Part
    test: Part
    sha256: str
    """Of the images and labels as scikit-learn gives them."""


class DigitsTask:
    """Validation accuracy after a short training on handwritten digits; the module says how."""

    name = "digits"
    accepts: tuple[str, ...] | None = (
        "conv_net",
        "conv_cell",
        "activation",
        "activation_piecewise_linear",
        "activation_fourier",
    )
    metric = "validation accuracy"
    """Share of the 359 validation images classified rightly after the last epoch."""
    unit = "share"
    floor = 0.0
    reference: tuple[str, float, str] | None = (
        "logistic regression on the pixels",
        0.9749303621169917,
        "python -m dslc.search.tasks.digits",
    )
    evaluations = 200
    options: Mapping[str, Any] = {"epochs": 3, "batch_size": 128, "learning_rate": 0.1}
    """Options and their defaults; `learning_rate` is the one at the start."""

    def prepare(self, space: Space, options: Mapping[str, Any]) -> str:  # noqa: ARG002
        """Load the data, once a process; returns their sha256.

        Raises:
            DslcError: DSLC606 without scikit-learn.
        """
        return load_digits().sha256

    def evaluate(self, program: Program, context: Context) -> Outcome:
        """Train the program's network; the reward is its accuracy on the validation images."""
        return self._train(program, context, load_digits().validation)

    def test(self, program: Program, context: Context) -> Outcome | None:
        """Train once more, with the same seed and so to the same network; the reward is its test accuracy."""
        return self._train(program, context, load_digits().test)

    def _train(self, program: Program, context: Context, held_out: Part) -> Outcome:
        import torch

        options = {**self.options, **context.options}
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(context.seed)  # weights are drawn on the CPU, also for a GPU
            network = build_network(program)
            return train_network(network, context, held_out, **options)


def make_task() -> DigitsTask:
    """The task."""
    return DigitsTask()


def build_network(program: Program) -> nn.Module:
    """The network in which a program is tried; see the module."""
    from torch import nn

    if program.space.target == "conv_net":
        network: Any = program.build(in_channels=1, num_classes=NUM_CLASSES)
        return network  # type: ignore[no-any-return]
    if program.space.target == "conv_cell":
        from dslc.search.cell_network import CellNetwork

        narrow, wide = CellNetwork.CHANNELS
        cells: Any = program.build(channels=narrow), program.build(channels=wide)
        return CellNetwork(cells[0], cells[1], NUM_CLASSES)
    has_units = program.space.target in ("activation_piecewise_linear", "activation_fourier")
    first: Any = program.build(num_channels=16, **({"spatial_shape": (8, 8)} if has_units else {}))
    second: Any = program.build(num_channels=32, **({"spatial_shape": (4, 4)} if has_units else {}))
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        first,
        nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(32),
        second,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, NUM_CLASSES),
    )


def train_network(
    network: nn.Module, context: Context, held_out: Part, *, epochs: int, batch_size: int, learning_rate: float
) -> Outcome:
    """Train as the module says and score on the held-out part.

    Returns:
        The accuracy as the reward, or DSLC614 when the loss stops being finite. Metrics: mean training loss of the last
        epoch in nats, accuracy and number of trained parameters.
    """
    import torch
    from torch.nn import functional

    images, labels = (tensor.to(context.device) for tensor in load_digits().training)
    network.to(context.device)
    optimizer = torch.optim.SGD(
        network.parameters(), lr=learning_rate, momentum=MOMENTUM, nesterov=True, weight_decay=WEIGHT_DECAY
    )
    order = torch.Generator().manual_seed(context.seed)
    epochs = max(1, round(epochs * context.fidelity))
    steps_an_epoch = math.ceil(len(labels) / batch_size)
    step = 0
    accuracy = mean_loss = 0.0
    for epoch in range(epochs):
        network.train()
        total_loss = torch.zeros((), device=context.device)
        shuffled = torch.randperm(len(labels), generator=order).to(context.device)
        for chosen in torch.split(shuffled, batch_size):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * (1 + math.cos(math.pi * step / (epochs * steps_an_epoch))) / 2
            optimizer.zero_grad(set_to_none=True)
            loss = functional.cross_entropy(network(images[chosen]), labels[chosen])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total_loss += loss.detach() * len(chosen)
            step += 1
        mean_loss = float(total_loss) / len(labels)
        if not math.isfinite(mean_loss):
            return Outcome(None, diagnostic=_not_finite(mean_loss, epoch))
        is_last = epoch == epochs - 1
        if is_last or not context.report(epoch, -mean_loss):
            accuracy = measure_accuracy(network, held_out, context.device)
            break
    num_parameters = sum(parameter.numel() for parameter in network.parameters())
    return Outcome(accuracy, {"training loss": mean_loss, "accuracy": accuracy, "parameters": float(num_parameters)})


def measure_accuracy(network: nn.Module, part: Part, device: str) -> float:
    """Share of the images whose class has the highest score."""
    import torch

    network.eval()
    with torch.no_grad():
        predicted = network(part.images.to(device)).argmax(1)
    return int((predicted == part.labels.to(device)).sum()) / len(part.labels)


@cache
def load_digits() -> Digits:
    """The data, loaded once a process.

    Raises:
        DslcError: DSLC606 without scikit-learn.
    """
    try:
        from sklearn import datasets
        from sklearn.model_selection import train_test_split
    except ImportError:
        raise missing_extra("the task `digits` needs scikit-learn, which is not installed", "tasks") from None
    import numpy as np
    import torch

    pixels, labels = datasets.load_digits(return_X_y=True)
    digest = sha256(pixels.astype("<f8").tobytes() + labels.astype("<i8").tobytes()).hexdigest()
    training, rest = train_test_split(np.arange(len(labels)), train_size=0.6, stratify=labels, random_state=SPLIT_SEED)
    validation, test = train_test_split(rest, train_size=0.5, stratify=labels[rest], random_state=SPLIT_SEED)
    mean, deviation = pixels[training].mean(), pixels[training].std()

    def part(rows: Any) -> Part:
        images = torch.tensor((pixels[rows] - mean) / deviation, dtype=torch.float32).view(-1, 1, 8, 8)
        return Part(images, torch.tensor(labels[rows], dtype=torch.int64))

    return Digits(part(training), part(validation), part(test), digest)


def measure_reference() -> tuple[float, float]:
    """Validation and test accuracy of scikit-learn's logistic regression, at most 1,000 steps, all else default."""
    from sklearn.linear_model import LogisticRegression

    data = load_digits()
    model = LogisticRegression(max_iter=1000)
    model.fit(data.training.images.flatten(1).numpy(), data.training.labels.numpy())
    scores = [model.score(part.images.flatten(1).numpy(), part.labels.numpy()) for part in (data.validation, data.test)]
    return float(scores[0]), float(scores[1])


def _not_finite(loss: float, epoch: int) -> Diagnostic:
    return Diagnostic(
        Code.LOSS_NOT_FINITE,
        Severity.ERROR,
        f"the training loss became {loss} in epoch {epoch + 1}",
        help="a lower `learning_rate` may train this program; the search counts it as failed",
    )


if __name__ == "__main__":
    print("logistic regression: validation accuracy {:.4f}, test accuracy {:.4f}".format(*measure_reference()))
