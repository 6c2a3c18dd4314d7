"""The comparison of families of activations: its fits found in other ways, and all of it with small numbers."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from tests.soaks.best_fits import END, FUNCTIONS, GRID, fit_fourier, fit_hinges
from tests.soaks.families import Family, Sizes, find_best_fits, learn_functions, sentence, soak_families


@pytest.mark.parametrize("name", ["sigmoid", "arctan"])
def test_best_hinges_are_at_least_as_good_as_every_pair_of_offsets_on_a_lattice(name: str) -> None:
    target = FUNCTIONS[name](GRID)
    fit = fit_hinges(target, 2)[2]
    lattice = np.linspace(-END, END + 1, 41)
    errors = []
    for one, other in product(lattice, lattice):
        columns = np.stack([np.ones_like(GRID), np.maximum(0, one - GRID), np.maximum(0, other - GRID)], axis=1)
        rest = target - np.maximum(0, GRID)
        # The normal equations, with a trace of ridge for equal offsets: another way than the product's.
        numbers = np.linalg.solve(columns.T @ columns + 1e-9 * np.eye(3), columns.T @ rest)
        errors.append(float(np.sqrt(np.mean((columns @ numbers - rest) ** 2))))
    assert fit.rms <= min(errors) + 1e-9
    assert fit.rms > 0.8 * min(errors), "the lattice is not far from it"


@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize("name", ["tanh", "x / (1 + abs(x))"])
def test_the_emitted_module_has_the_error_of_the_best_fit(family: Family, name: str) -> None:
    target = FUNCTIONS[name](GRID)
    fit = fit_hinges(target, 3)[3] if family is Family.HINGES else fit_fourier(target, 3)
    module: Any = sentence(family, 3).build()
    first, second = torch.from_numpy(fit.first)[:, None], torch.from_numpy(fit.second)[:, None]
    constant = torch.tensor([fit.constant])
    if family is Family.HINGES:
        module.double().load_state_dict({"slopes": first, "offsets": second})
    else:
        module.double().load_state_dict({"mean": constant, "cosines": first, "sines": second})
    added = fit.constant if family is Family.HINGES else 0.0
    with torch.no_grad():
        error = module(torch.from_numpy(GRID)).numpy() + added - target
    assert float(np.sqrt(np.mean(error**2))) == pytest.approx(fit.rms, rel=1e-6)
    assert float(np.abs(error).max()) == pytest.approx(fit.largest, rel=1e-6)


def test_channels_learn_by_themselves_and_never_beat_the_best_fit() -> None:
    fits = find_best_fits((1,))
    for family in Family:
        few, more = (learn_functions(family, 1, count, 60) for count in (1, 2))
        assert few.shape == (1, len(FUNCTIONS))
        if family is Family.FOURIER:  # nothing is drawn: every seed is the same
            np.testing.assert_allclose(more, np.tile(few, (2, 1)), rtol=1e-9)
        best = np.array([fits[family, name, 1].rms for name in FUNCTIONS])
        assert (more >= best - 1e-9).all()


def test_the_whole_comparison_with_small_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    figures = soak_families(2, Sizes(terms=(1, 2), steps=20, digits=((1, (1,)),)))
    assert "error learned against best fit at 5 numbers" in figures
    lines = capsys.readouterr().out.splitlines()
    tables = [line for line in lines if line.startswith("| `")]
    assert len(tables) == 2 * 2 * len(FUNCTIONS)
    assert [line.split(" | ")[1] for line in lines[-6:]] == [
        "ReLU",
        "tanh",
        "piecewise-linear, 2 numbers a channel",
        "piecewise-linear, 2 numbers a channel, left at the start",
        "Fourier, 3 numbers a channel",
        "Fourier, 3 numbers a channel, left at the start",
    ]
