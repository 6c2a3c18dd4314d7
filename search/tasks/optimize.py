"""Optimizers: what a small network learns with an update rule in a fixed number of steps, as bello2017 searches them.

Network: convolution 3 x 3 to 32 channels, batch norm, ReLU; convolution 3 x 3 with stride 2 to 32 channels, batch norm,
ReLU; linear to 10 classes. The paper's child has two such layers; how features become classes it does not say, and the
stride is here so that a child takes about a second. Data: the handwritten digits of the task `digits`, with its split.

Training: cross-entropy in batches of 100, as in the paper. The learning rate is swept as in the paper, 10^-5 to 10^1:
for each a fresh network takes a few steps, and the rate whose batches have the lowest mean loss in the second half of
them is kept (the paper's sweep is one epoch of 10,000 images each). With it a network is trained for 2 epochs (paper:
5), the rate constant, and `total_steps` of the rule being the steps of the run. The reward is the accuracy on the
validation images. All networks of a child start from the same weights and see the same order of images.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dslc.diagnostics import Code, Diagnostic, Severity
from dslc.search.outcome import Context, Outcome
from dslc.search.tasks.digits import NUM_CLASSES, Part, load_digits, measure_accuracy

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

    from dslc.space import Program, Space

LEARNING_RATES = tuple(10.0**power for power in range(-5, 2))
NUM_FILTERS = 32
REFERENCE_SEEDS = 10

MakeOptimizer = Callable[[Iterable[Any], float, int], "Optimizer"]
"""Parameters, learning rate and total number of steps to an optimizer."""


class OptimizeTask:
    """Validation accuracy of a small network trained with the optimizer for a fixed number of steps."""

    name = "optimize"
    accepts: tuple[str, ...] | None = ("optimizer",)
    metric = "validation accuracy"
    """Share of the 359 validation images classified rightly after the last step."""
    unit = "share"
    floor = 0.0
    reference: tuple[str, float, str] | None = (
        "Adam, mean of 10 seeds",
        0.9710306406685236,
        "python -m dslc.search.tasks.optimize",
    )
    evaluations = 200
    options: Mapping[str, Any] = {"epochs": 2, "sweep_steps": 6, "batch_size": 100}
    """Options and their defaults; `sweep_steps` is the number of steps for each learning rate of the sweep."""

    def prepare(self, space: Space, options: Mapping[str, Any]) -> str:  # noqa: ARG002
        """Load the data, once a process; returns their sha256.

        Raises:
            DslcError: DSLC606 without scikit-learn.
        """
        return load_digits().sha256

    def evaluate(self, program: Program, context: Context) -> Outcome:
        """Train with the program's optimizer; the reward is the accuracy on the validation images."""
        return self._train(program, context, load_digits().validation)

    def test(self, program: Program, context: Context) -> Outcome | None:
        """Train once more, with the same seed and so to the same network; the reward is its test accuracy."""
        return self._train(program, context, load_digits().test)

    def _train(self, program: Program, context: Context, held_out: Part) -> Outcome:
        options = {**self.options, **context.options}
        return score_optimizer(_maker(program), context, held_out, **options)


def make_task() -> OptimizeTask:
    """The task."""
    return OptimizeTask()


def score_optimizer(
    make_optimizer: MakeOptimizer, context: Context, held_out: Part, *, epochs: int, sweep_steps: int, batch_size: int
) -> Outcome:
    """Sweep the learning rate, train with the best and score on the held-out part, as the module says.

    Returns:
        The accuracy as the reward, or DSLC614 when the loss stops being finite with every rate of the sweep, or later
        with the best. Metrics: the learning rate, its mean loss in the sweep and that of the last epoch in nats, and
        the accuracy.
    """
    sweep: dict[float, float] = {}
    for learning_rate in LEARNING_RATES:
        _, losses = train_steps(make_optimizer, learning_rate, context, batch_size, sweep_steps)
        sweep[learning_rate] = _mean(losses[sweep_steps // 2 :])
    best = min(sweep, key=sweep.__getitem__)
    if not math.isfinite(sweep[best]):
        return Outcome(None, diagnostic=_not_finite("with every learning rate of the sweep"))

    steps_an_epoch = math.ceil(len(load_digits().training.labels) / batch_size)
    num_steps = max(1, round(epochs * context.fidelity)) * steps_an_epoch

    def report(losses: Sequence[float]) -> bool:
        if len(losses) % steps_an_epoch:
            return True
        return context.report(len(losses) // steps_an_epoch - 1, -_mean(losses[-steps_an_epoch:]))

    network, losses = train_steps(make_optimizer, best, context, batch_size, num_steps, report)
    mean_loss = _mean(losses[-steps_an_epoch:])
    if not math.isfinite(mean_loss):
        return Outcome(None, diagnostic=_not_finite(f"in step {len(losses)} of {num_steps}, learning rate {best:g}"))
    accuracy = measure_accuracy(network, held_out, context.device)
    metrics = {"learning rate": best, "sweep loss": sweep[best], "training loss": mean_loss, "accuracy": accuracy}
    return Outcome(accuracy, metrics)


def train_steps(
    make_optimizer: MakeOptimizer,
    learning_rate: float,
    context: Context,
    batch_size: int,
    num_steps: int,
    report: Callable[[Sequence[float]], bool] = lambda losses: True,  # noqa: ARG005
) -> tuple[nn.Module, list[float]]:
    """A fresh network after that many steps, and the loss of each batch before its step in nats.

    Stops after a loss that is not finite, which is then the last, and where `report` of the losses so far says no.
    """
    import torch
    from torch.nn import functional

    images, labels = (tensor.to(context.device) for tensor in load_digits().training)
    order = torch.Generator().manual_seed(context.seed)
    losses: list[float] = []
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(context.seed)  # of the first weights, and of noise on a CPU
        network = build_network().to(context.device)
        optimizer = make_optimizer(network.parameters(), learning_rate, num_steps)
        while len(losses) < num_steps:
            for chosen in torch.split(torch.randperm(len(labels), generator=order).to(context.device), batch_size):
                optimizer.zero_grad()
                loss = functional.cross_entropy(network(images[chosen]), labels[chosen])
                losses.append(float(loss.detach()))
                if not math.isfinite(losses[-1]):
                    return network, losses
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                if not report(losses) or len(losses) == num_steps:
                    return network, losses
    return network, losses


def build_network() -> nn.Module:
    """The network that is trained."""
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(1, NUM_FILTERS, 3, padding=1, bias=False),
        nn.BatchNorm2d(NUM_FILTERS),
        nn.ReLU(),
        nn.Conv2d(NUM_FILTERS, NUM_FILTERS, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(NUM_FILTERS),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(NUM_FILTERS * 4 * 4, NUM_CLASSES),
    )


def _mean(losses: Sequence[float]) -> float:
    """Infinite where there is none, as of a run that ended early, or where one is not a number."""
    mean = sum(losses) / len(losses) if losses else math.inf
    return math.inf if math.isnan(mean) else mean


def reference_optimizers() -> dict[str, MakeOptimizer]:
    """PyTorch's optimizers and the two rules that the paper published, by name."""
    import torch

    import dslc

    space = dslc.compile("optimizer")
    agreement = "( sign_g sign_m identity identity mul )"
    power_sign = f"{agreement} g exp identity mul"
    add_sign = f"( 1 {agreement} identity identity add ) g identity identity mul"
    return {
        "SGD": lambda parameters, rate, _: torch.optim.SGD(parameters, lr=rate),
        "SGD with momentum 0.9": lambda parameters, rate, _: torch.optim.SGD(parameters, lr=rate, momentum=0.9),
        "RMSprop": lambda parameters, rate, _: torch.optim.RMSprop(parameters, lr=rate),
        "Adam": lambda parameters, rate, _: torch.optim.Adam(parameters, lr=rate),
        "PowerSign": _maker(space.parse(power_sign)),
        "AddSign": _maker(space.parse(add_sign)),
    }


def measure_reference(make_optimizer: MakeOptimizer, num_seeds: int = REFERENCE_SEEDS) -> tuple[float, float]:
    """Mean and deviation of the reward over seeds 0, 1, …; a run that fails counts as the floor."""
    validation = load_digits().validation
    rewards = []
    for seed in range(num_seeds):
        outcome = score_optimizer(make_optimizer, Context(seed), validation, **OptimizeTask.options)
        rewards.append(OptimizeTask.floor if outcome.reward is None else outcome.reward)
    return statistics.mean(rewards), statistics.stdev(rewards)


def _maker(program: Program) -> MakeOptimizer:
    def make_optimizer(parameters: Iterable[Any], learning_rate: float, total_steps: int) -> Optimizer:
        optimizer: Any = program.build(params=parameters, lr=learning_rate, total_steps=total_steps)
        return optimizer  # type: ignore[no-any-return]

    return make_optimizer


def _not_finite(place: str) -> Diagnostic:
    return Diagnostic(
        Code.LOSS_NOT_FINITE,
        Severity.ERROR,
        f"the training loss stopped being finite {place}",
        help="nothing is to be done for this program: the search counts it as failed",
    )


if __name__ == "__main__":
    for label, make in reference_optimizers().items():
        mean, deviation = measure_reference(make)
        print(f"{label}: validation accuracy {mean:.4f} ± {deviation:.4f} over {REFERENCE_SEEDS} seeds")
