"""Piecewise-linear against Fourier: what a family of activations spans, and what gradient descent finds in it.

Prints three tables for docs/results.md: the error of the best fit to six squashing functions; how much larger the error
is that gradient descent reaches from the published start of each family; and accuracies of the network of the task
`digits` with each family in the place of its activations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

import dslc
from dslc.space import Program
from tests.soaks.best_fits import FUNCTIONS, GRID, Fit, fit_fourier, fit_hinges

if TYPE_CHECKING:
    from torch import nn

SIZES = (1, 2, 3, 4, 5)
"""Hinges or harmonics; 5 is the largest number of both papers."""
STEPS = 2000
"""Of Adam on all points of the grid, its learning rate from 0.03 along half a cosine to 0."""
LEARNING_RATE = 0.03


class Family(Enum):
    """A family of activations with its published start."""

    HINGES = "piecewise-linear"
    """Slopes and offsets drawn at random (agostinelli2014)."""
    FOURIER = "Fourier"
    """Coefficients from the fit of tanh (eisenach2016)."""


@dataclass(frozen=True)
class Sizes:
    """How much is done."""

    terms: tuple[int, ...] = SIZES
    steps: int = STEPS
    digits: tuple[tuple[int, tuple[int, ...]], ...] = ((3, (1, 3, 5)), (12, (5,)))
    """Epochs of training and the numbers of terms that are tried with them; 3 epochs are the task's default."""


def soak_families(count: int, sizes: Sizes = Sizes()) -> str:
    """Print the tables, with `count` seeds, at least 2, for what is drawn; more terms must fit better."""
    fits = find_best_fits(sizes.terms)
    print_span(fits, sizes.terms)
    ratios = {
        (family, terms): learn_functions(family, terms, count, sizes.steps)
        / np.array([fits[family, name, terms].rms for name in FUNCTIONS])
        for family in Family
        for terms in sizes.terms
    }
    print_learned(ratios, sizes.terms)
    print_digits({epochs: measure_digits(count, terms, epochs) for epochs, terms in sizes.digits}, count)
    last = sizes.terms[-1]
    texts = [f"{family.value} {np.median(ratios[family, last]):.2f} ×" for family in Family]
    return f"error learned against best fit at {2 * last + 1} numbers, median: {', '.join(texts)}; {count} seeds"


# --- span -------------------------------------------------------------------------------------------------------------


def find_best_fits(terms: Sequence[int]) -> dict[tuple[Family, str, int], Fit]:
    """The best fit by family, function and number of terms."""
    fits: dict[tuple[Family, str, int], Fit] = {}
    for name, function in FUNCTIONS.items():
        hinges = fit_hinges(function(GRID), max(terms))
        for k in terms:
            fits[Family.HINGES, name, k] = hinges[k]
            fits[Family.FOURIER, name, k] = fit_fourier(function(GRID), k)
            for family in Family:
                smaller = [fits[family, name, j].rms for j in terms if j < k]
                assert all(fits[family, name, k].rms <= rms + 1e-9 for rms in smaller), "more terms span more"
    return fits


def print_span(fits: Mapping[tuple[Family, str, int], Fit], terms: Sequence[int]) -> None:
    """Error of the best fits: root mean square, and in brackets the largest."""
    _print_head("best fit", terms)
    for name in FUNCTIONS:
        for family in Family:
            cells = [fits[family, name, k] for k in terms]
            row = " | ".join(f"{fit.rms:.4f} ({fit.largest:.3f})" for fit in cells)
            print(f"| `{name}` | {family.value} | {row} |", flush=True)


# --- learnability -----------------------------------------------------------------------------------------------------


def sentence(family: Family, terms: int) -> Program:
    """The family's program that starts as published, with values of its own in each channel."""
    if family is Family.HINGES:
        text = "max(0,x)" + terms * " + param random * max(0,-x + param random )"
        return dslc.compile("activation_piecewise_linear", start="random").parse(text)
    text = "npf 4 1 : param tanh" + terms * " + param tanh cos + param tanh sin"
    return dslc.compile("activation_fourier", start="tanh").parse(text)


def learn_functions(family: Family, terms: int, count: int, steps: int) -> np.ndarray[Any, Any]:
    """Root mean square errors [seed, function] that gradient descent reaches on the grid.

    All seeds and functions are channels of one module. Adam scales each number by itself, so none sees the others.
    """
    import torch

    num_channels = count * len(FUNCTIONS)
    values = np.stack([function(GRID) for function in FUNCTIONS.values()], axis=1)
    target = torch.from_numpy(np.tile(values, (1, count)))
    x = torch.from_numpy(GRID)[:, None].expand(-1, num_channels)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        module: Any = sentence(family, terms).build(num_channels=num_channels)
    module.double()
    constant = torch.zeros(num_channels, dtype=torch.float64, requires_grad=True)
    trained = [*module.parameters(), *([constant] if family is Family.HINGES else [])]
    optimizer = torch.optim.Adam(trained, lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        squares = (module(x) + constant - target).square().mean(0)
        squares.sum().backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        reached = (module(x) + constant - target).square().mean(0).sqrt()
    return np.asarray(reached.view(count, len(FUNCTIONS)).numpy())


def print_learned(ratios: Mapping[tuple[Family, int], np.ndarray[Any, Any]], terms: Sequence[int]) -> None:
    """Error reached over error of the best fit: median over seeds, and in brackets the worst tenth of them."""
    print()
    _print_head("learned / best fit", terms)
    for place, name in enumerate(FUNCTIONS):
        for family in Family:
            columns = [ratios[family, k][:, place] for k in terms]
            row = " | ".join(f"{np.median(seeds):.2f} ({np.quantile(seeds, 0.9):.2f})" for seeds in columns)
            print(f"| `{name}` | {family.value} | {row} |", flush=True)


def _print_head(title: str, terms: Sequence[int]) -> None:
    print(f"| {title} | family | {' | '.join(f'{2 * k + 1} numbers' for k in terms)} |")
    print(f"|---|---|{'---|' * len(terms)}", flush=True)


# --- in a network -----------------------------------------------------------------------------------------------------


def measure_digits(count: int, terms: Sequence[int], epochs: int) -> dict[str, list[float]]:
    """Validation accuracies of the network of `digits`, one a seed, by what its activations are."""
    activation = dslc.compile("activation")
    accuracies = {
        "ReLU": _accuracies(activation.parse("x x relu relu max"), count, epochs),
        "tanh": _accuracies(activation.parse("x x tanh tanh max"), count, epochs),
    }
    for family in Family:
        for k in terms:
            numbers = f"{family.value}, {2 * k + (family is Family.FOURIER)} numbers a channel"
            program = sentence(family, k)
            accuracies[numbers] = _accuracies(program, count, epochs)
            if k == terms[-1]:
                accuracies[f"{numbers}, left at the start"] = _accuracies(program, count, epochs, is_frozen=True)
    return accuracies


def _accuracies(program: Program, count: int, epochs: int, *, is_frozen: bool = False) -> list[float]:
    import torch

    from dslc.search import Context
    from dslc.search.tasks.digits import DigitsTask, build_network, load_digits, train_network

    results = []
    for seed in range(count):
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            network = build_network(program)
            for module in _activations(network) if is_frozen else ():
                module.requires_grad_(False)
            options = {**DigitsTask.options, "epochs": epochs}
            outcome = train_network(network, Context(seed), load_digits().validation, **options)
        results.append(0.0 if outcome.reward is None else outcome.reward)
    return results


def _activations(network: nn.Module) -> list[nn.Module]:
    """The two modules of a network that a program was built to."""
    found = [module for module in network.children() if not type(module).__module__.startswith("torch.")]
    assert len(found) == 2, "the network of `digits` has two activations"
    return found


def print_digits(accuracies: Mapping[int, Mapping[str, Sequence[float]]], count: int) -> None:
    """Mean and 95% interval of Student's t, by epochs of training and by what the activations are."""
    from scipy.stats import t

    width = float(t.ppf(0.975, count - 1)) / count**0.5
    print("\n| epochs | activations | validation accuracy, mean | 95% interval |\n|---|---|---|---|")
    for epochs, by_name in accuracies.items():
        for name, values in by_name.items():
            half = width * float(np.std(values, ddof=1))
            print(f"| {epochs} | {name} | {np.mean(values):.3f} | ± {half:.3f} |", flush=True)
