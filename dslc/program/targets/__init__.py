"""Targets: what the sentences of a grammar mean and how they become code. One file each, found by listing this package.

A target module holds one object named `TARGET`; the module's name is the target's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Protocol

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity

if TYPE_CHECKING:
    from dslc.program.emit import PythonSource
    from dslc.program.graph import Graph
    from dslc.program.tree import ParseTree


@dataclass(frozen=True, slots=True)
class AliasSpec:
    """What a target takes a node of the tree for."""

    meaning: str
    """In one line, with its source if it is from a paper."""
    children: tuple[str, ...] = ()
    """What its children are, in order."""


@dataclass(frozen=True, slots=True)
class BuildArgument:
    """A constructor argument of the emitted class."""

    name: str
    meaning: str
    default: int | tuple[int, ...] | None = None
    """None: it has to be given."""


class Built(Enum):
    """What the emitted name is, and so what building a program gives."""

    MODULE = "module"
    """A class; building gives a `torch.nn.Module`."""
    OPTIMIZER = "optimizer"
    """A class; building gives a `torch.optim.Optimizer`."""
    FUNCTION = "function"
    """A function; building gives it as it is."""


class Target(Protocol):
    """A kind of program."""

    @property
    def name(self) -> str:
        """As in `//! target NAME`."""

    @property
    def builds(self) -> Built:
        """What the emitted name is."""

    @property
    def class_name(self) -> str:
        """Name of the emitted class or function unless one is given."""

    @property
    def aliases(self) -> Mapping[str, AliasSpec]:
        """Names of tree nodes (aliases and rules) that it knows."""

    @property
    def build_arguments(self) -> tuple[BuildArgument, ...]:
        """Constructor arguments of the emitted class, in order."""

    @property
    def example_arguments(self) -> Mapping[str, int | tuple[int, ...]] | None:
        """Arguments that build a small example, for counting parameters and for trying a program out.

        None where they are no plain numbers or shapes, as the parameters that an optimizer is made for.
        """

    def elaborate(self, tree: ParseTree) -> Graph:
        """The graph that a tree means.

        Raises:
            DslcError: a 4xx diagnostic if it has no meaning.
        """

    def write_formula(self, graph: Graph) -> str | None:
        """The program as one formula in the notation of its paper, for people; None where none is readable."""

    def plot_inputs(self, graph: Graph) -> tuple[float, float] | None:
        """The interval over which a drawing shows the program as a curve of its one input; None for no curve."""

    def emit(self, graph: Graph, class_name: str | None, sentence: str) -> PythonSource:
        """Readable source of one class or function that computes the graph, and needs PyTorch only."""


def target_names() -> tuple[str, ...]:
    """Names of all targets, sorted; none of them is imported.

    Example:
        >>> "conv_net" in target_names()
        True
    """
    return tuple(sorted(module.name for module in iter_modules(__path__)))


@cache
def get_target(name: str) -> Target:
    """The target of that name.

    Raises:
        DslcError: DSLC402 if there is none, with the nearest name.
    """
    names = target_names()
    if name not in names:
        near = get_close_matches(name, names, n=1)
        raise DslcError(
            Diagnostic(
                Code.UNKNOWN_TARGET,
                Severity.ERROR,
                f"there is no target `{name}`",
                help=(f"did you mean `{near[0]}`? " if near else "") + f"there are: {', '.join(names)}",
            )
        )
    target: Target = import_module(f"{__name__}.{name}").TARGET
    assert target.name == name, "the module's name is the target's"
    return target
