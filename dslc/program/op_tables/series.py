"""Sums of terms with coefficients: hinges (agostinelli2014, equation 1) and Fourier series (eisenach2016, section 3).

Coefficients are constants, the attributes named as in `expression`; or trained: then the attribute `scope` is there,
and `initial_` with the name gives the values before training. Trained hinges without such values are drawn at random as
in the paper, and `num_hinges` says how many there are. The terms of a sum are axis 0 of its coefficients.
"""

from __future__ import annotations

from dslc.program import op_meanings_series
from dslc.program.op_rules import Attributes, Draw, Parameter, Scope, Spread, Types, channels_of, number
from dslc.program.op_spec import OpSpec
from dslc.program.tensor_type import Dim, TensorType

SLOPE_DRAW = Draw(Spread.UNIFORM, 0.5)
"""Slopes before training are uniform in -0.5 to 0.5 (agostinelli2014)."""
OFFSET_DRAW = Draw(Spread.NORMAL, 0.5)
"""Offsets before training are normal, N(0, 0.5) in the paper: its authors' code says that 0.5 is the deviation."""


def scope_shape(inputs: Types, scope: Scope) -> tuple[Dim, ...]:
    """Shape of one trained number of that scope."""
    match scope:
        case Scope.LAYER:
            return ()
        case Scope.CHANNEL:
            return (channels_of(inputs[0]),)
        case Scope.UNIT:
            return inputs[0].shape[1:]


def initial_values(attributes: Attributes, name: str) -> tuple[float, ...]:
    """The attribute `name` as numbers, one a term."""
    values = attributes[name]
    assert isinstance(values, tuple), f"`{name}` has one number a term"
    return values


def hinge_parameters(inputs: Types, attributes: Attributes) -> tuple[Parameter, ...]:
    """Slopes and offsets, if they are trained."""
    if "scope" not in attributes:
        return ()
    shape = scope_shape(inputs, Scope(str(attributes["scope"])))
    if "num_hinges" in attributes:
        type = TensorType((number(attributes, "num_hinges"), *shape))
        return (Parameter("slopes", type, SLOPE_DRAW), Parameter("offsets", type, OFFSET_DRAW))
    slopes, offsets = (initial_values(attributes, f"initial_{name}") for name in ("slopes", "offsets"))
    type = TensorType((len(slopes), *shape))
    return (Parameter("slopes", type, slopes), Parameter("offsets", type, offsets))


def fourier_parameters(inputs: Types, attributes: Attributes) -> tuple[Parameter, ...]:
    """Mean and coefficients, if they are trained."""
    if "scope" not in attributes:
        return ()
    shape = scope_shape(inputs, Scope(str(attributes["scope"])))
    mean = attributes["initial_mean"]
    assert isinstance(mean, float), "the mean is a number"
    cosines, sines = (initial_values(attributes, f"initial_{name}") for name in ("cosines", "sines"))
    type = TensorType((len(cosines), *shape))
    return (
        Parameter("mean", TensorType(shape), mean),
        Parameter("cosines", type, cosines),
        Parameter("sines", type, sines),
    )


HINGES = OpSpec(
    "hinges",
    1,
    "sum of a_s * max(0, -{0} + b_s)",
    "({slopes} * torch.relu({offsets} - {0})).sum(0)",
    op_meanings_series.hinges,
    "hinges",
    "agostinelli2014",
    parameter_rule=hinge_parameters,
)
FOURIER = OpSpec(
    "fourier",
    1,
    "S({0}), constant beyond its interval",
    "{mean} + ({cosines} * torch.cos({angles}) + {sines} * torch.sin({angles})).sum(0)",
    op_meanings_series.fourier,
    "series",
    "eisenach2016",
    parameter_rule=fourier_parameters,
)
TABLE = (HINGES, FOURIER)
