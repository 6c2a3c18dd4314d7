"""The twelve Nguyen symbolic-regression targets as data, their training points, and a check for exact recovery.

Ranges and point counts are those of the DSR and DSO papers: 20 points, uniform on each variable's range; functions + -
* / sin cos exp log, no constants. `Nguyen-12a` is the twelfth on the wider range 0 to 10.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray

NUM_POINTS = 20
ARITY = {"add": 2, "sub": 2, "mul": 2, "div": 2, "sin": 1, "cos": 1, "exp": 1, "log": 1}
FUNCTIONS = ("sin", "cos", "exp", "log", "sqrt")
OPERATORS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
Expression = tuple[Any, ...]
"""A name, followed by its operands: nested tuples."""


@dataclass(frozen=True, slots=True)
class Target:
    """One target: a closed form of x1 (and x2) on a range."""

    name: str
    num_variables: int
    text: str
    low: float
    high: float

    def function(self, library: Any = np) -> Callable[..., Any]:
        """The target as a function of x1, x2 over a library that has sin, cos and so on."""
        names = {name: getattr(library, name) for name in FUNCTIONS}
        code = compile(self.text, self.name, "eval")
        return lambda *x: eval(code, {"__builtins__": {}}, names | {f"x{i + 1}": v for i, v in enumerate(x)})


TARGETS = (
    Target("Nguyen-1", 1, "x1**3 + x1**2 + x1", -1, 1),
    Target("Nguyen-2", 1, "x1**4 + x1**3 + x1**2 + x1", -1, 1),
    Target("Nguyen-3", 1, "x1**5 + x1**4 + x1**3 + x1**2 + x1", -1, 1),
    Target("Nguyen-4", 1, "x1**6 + x1**5 + x1**4 + x1**3 + x1**2 + x1", -1, 1),
    Target("Nguyen-5", 1, "sin(x1**2)*cos(x1) - 1", -1, 1),
    Target("Nguyen-6", 1, "sin(x1) + sin(x1 + x1**2)", -1, 1),
    Target("Nguyen-7", 1, "log(x1 + 1) + log(x1**2 + 1)", 0, 2),
    Target("Nguyen-8", 1, "sqrt(x1)", 0, 4),
    Target("Nguyen-9", 2, "sin(x1) + sin(x2**2)", 0, 1),
    Target("Nguyen-10", 2, "2*sin(x1)*cos(x2)", 0, 1),
    Target("Nguyen-11", 2, "x1**x2", 0, 1),
    Target("Nguyen-12", 2, "x1**4 - x1**3 + x2**2/2 - x2", 0, 1),
    Target("Nguyen-12a", 2, "x1**4 - x1**3 + x2**2/2 - x2", 0, 10),
)
TARGET_BY_NAME = {target.name: target for target in TARGETS}


def make_data(target: Target, seed: int = 0, num_points: int = NUM_POINTS) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Training points [point, variable] and the target's values [point]."""
    generator = np.random.default_rng([seed, sum(map(ord, target.name))])
    points = generator.uniform(target.low, target.high, size=(num_points, target.num_variables))
    return points, np.asarray(target.function()(*points.T))


def parse_prefix(words: Sequence[str]) -> Expression:
    """Words in prefix order as nested tuples; ValueError where they are not one whole expression."""
    rest = iter(words)

    def read(rest: Iterator[str]) -> Expression:
        word = next(rest, None)
        if word is None:
            raise ValueError("truncated expression")
        return (word, *(read(rest) for _ in range(ARITY.get(word, 0))))

    expression = read(rest)
    if next(rest, None) is not None:
        raise ValueError("words after the expression")
    return expression


def to_infix(expression: Expression) -> str:
    """Text that Python reads."""
    name, *operands = expression
    if name in OPERATORS:
        return f"({to_infix(operands[0])} {OPERATORS[name]} {to_infix(operands[1])})"
    return f"{name}({to_infix(operands[0])})" if operands else str(name)


MOST_BITS = 10_000
"""Binary digits before the point of what a function is asked for: it needs as many digits of pi or log 2."""


class _BoundedFunctions:
    """mpmath's functions, but OverflowError instead of hours and gigabytes for numbers such as exp(exp(exp(exp(3))))."""

    def __getattr__(self, name: str) -> Callable[[Any], Any]:
        function = getattr(mpmath, name)

        def bounded(number: Any) -> Any:
            if mpmath.mag(number) > MOST_BITS:
                raise OverflowError
            return function(number)

        return bounded


def is_recovered(infix: str, target: Target, *, num_points: int = 24, digits: int = 60, agreeing: int = 40) -> bool:
    """Whether a closed form equals the target on its range.

    Both are evaluated with `digits` decimal digits at random points; closed forms over these functions that agree there
    to `agreeing` digits are taken as the same. Every rewriting passes, a merely tight fit does not, nor what asks a
    function for a number of more than MOST_BITS bits.
    """
    generator = np.random.default_rng(12345)
    with mpmath.workdps(digits):
        candidate = Target("candidate", target.num_variables, infix, target.low, target.high).function(_BoundedFunctions())
        function = target.function(mpmath)
        for _ in range(num_points):
            shares = generator.uniform(0.02, 0.98, size=target.num_variables).tolist()
            point = [mpmath.mpf(target.low) + (mpmath.mpf(target.high) - target.low) * share for share in shares]
            wanted = function(*point)
            try:
                distance = abs(mpmath.mpc(candidate(*point)) - wanted)
            except (ZeroDivisionError, ValueError, OverflowError):
                return False
            if distance > mpmath.mpf(10) ** -agreeing * (1 + abs(wanted)):
                return False
    return True
