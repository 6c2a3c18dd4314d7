"""The table of ops: PyTorch, numpy and the type rules say the same."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from dslc.program.op_rules import Attributes, number, pair
from dslc.program.op_spec import OpSpec
from dslc.program.op_tables import network
from dslc.program.op_tables.activation import BINARY, UNARY
from dslc.program.ops import OPS
from dslc.program.tensor_type import Dim, Symbol, TensorType, TypeMismatchError
from tests.dslc import program_trees

BATCH, HEIGHT, WIDTH = Symbol("batch"), Symbol("height"), Symbol("width")
IMAGE = TensorType((BATCH, 3, HEIGHT, WIDTH))


def test_the_papers_functions_in_the_papers_order() -> None:
    assert [spec.name for spec in UNARY] == program_trees.UNARY
    assert [spec.name for spec in BINARY] == program_trees.BINARY
    assert {
        spec.name
        for spec in (*UNARY, *BINARY, *network.TABLE)
        if spec.parameter_rule([IMAGE], {"kernel": (1, 1), "num_filters": 1, "out_features": 1})
    } == {"scale", "shift", "constant", "rbf", "laplace", "mix", "conv2d", "batch_norm", "linear"}


@pytest.mark.parametrize("spec", [*UNARY, *BINARY], ids=lambda spec: spec.name)
def test_torch_and_numpy_agree(spec: OpSpec) -> None:
    generator = np.random.default_rng(0)
    # Zero, where formulas have their kinks and gaps, and far values as well.
    edges = np.array([0.0, 1e-3, -1e-3, 1.0, -1.0, 5.0, -5.0, 30.0, -30.0])
    values = [np.concatenate([generator.normal(size=111), generator.permutation(edges)]).reshape(5, 4, 6)] * 2
    values = [generator.permutation(value, axis=2) for value in values][: spec.arity]
    beta = generator.uniform(0.5, 2, 4)
    with np.errstate(all="ignore"):
        expected = spec.meaning(*values, **({"beta": beta} if "{beta}" in spec.expression else {}))
    names = {f"v{i}": torch.from_numpy(value) for i, value in enumerate(values)}
    text = spec.expression.format(*names, beta="beta")
    found = eval(text, {"torch": torch, "nn": nn, "beta": torch.from_numpy(beta).view(-1, 1), **names})
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9, atol=3e-9)


@pytest.mark.parametrize("spec", [*UNARY, *BINARY], ids=lambda spec: spec.name)
def test_functions_keep_the_type(spec: OpSpec) -> None:
    assert spec.arity is not None
    assert spec.type_rule([IMAGE] * spec.arity, {}) == IMAGE
    if spec.arity == 2:
        with pytest.raises(TypeMismatchError):
            spec.type_rule([IMAGE, TensorType((BATCH, 4, HEIGHT, WIDTH))], {})


def test_names_of_values_are_names_and_not_builtins() -> None:
    import builtins

    for spec in OPS.values():
        assert spec.value_name.isidentifier()
        assert not hasattr(builtins, spec.value_name)


def test_channels_are_joined() -> None:
    spec = OPS["concat_channels"]
    shapes: list[tuple[Dim, ...]] = [(BATCH, 3, HEIGHT, 8), (BATCH, Symbol("in_channels"), HEIGHT, 8)]
    joined = spec.type_rule([TensorType(shape) for shape in shapes], {})
    assert str(joined) == "[batch, in_channels + 3, height, 8]"
    with pytest.raises(TypeMismatchError):
        spec.type_rule([TensorType((BATCH, 3, 8, 8)), TensorType((BATCH, 3, 8, 9))], {})
    parts = [np.zeros((2, 3, 4, 4)), np.ones((2, 1, 4, 4))]
    assert spec.meaning(*parts).shape == (2, 4, 4, 4)
    text = spec.expression.format(inputs="a, b")
    found = eval(text, {"torch": torch, "a": torch.from_numpy(parts[0]), "b": torch.from_numpy(parts[1])})
    np.testing.assert_array_equal(found.numpy(), spec.meaning(*parts))


@pytest.mark.parametrize("shape", [(BATCH, 3), (BATCH, 3, 8), (BATCH,)])
def test_an_image_has_four_axes(shape: tuple[Dim, ...]) -> None:
    attributes: Attributes = {"kernel": (3, 3), "stride": (1, 1), "num_filters": 4}
    for name in ("conv2d", "batch_norm", "global_average_pool", "concat_channels"):
        with pytest.raises(TypeMismatchError):
            OPS[name].type_rule([TensorType(shape)], attributes)


def test_attributes_are_read_by_kind() -> None:
    assert pair({"stride": (2, 3)}, "stride") == (2, 3)
    assert number({"num_filters": 24}, "num_filters") == 24


def test_meanings_are_importable_without_torch() -> None:
    code = "import sys, dslc.program.ops; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
