"""Targets: what the sentences of a grammar mean and how they become code. One file each, found by listing this package.

A target module holds one object named `TARGET`; the module's name is the target's. Other packages add targets by entry
points of the group `dslc.targets`; they are imported only when a grammar names one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.program.plugins import load_plugin, plugin_names

if TYPE_CHECKING:
    from dslc.program.emit import PythonSource
    from dslc.program.graph import Graph
    from dslc.program.operations import Operations
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
    """None: it has no default value."""
    is_optional: bool = False
    """Whether it can be left out although it has no default value; one with neither has to be given."""


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


@dataclass(frozen=True, slots=True)
class AlternativeForm:
    """What one alternative of a grammar leaves in the tree."""

    rule: str
    alias: str | None
    num_children: int | None
    """Of the node that it leaves; None where that depends on the sentence."""
    is_replaced: bool
    """It leaves no node of its own: its children take its place."""
    has_placeholders: bool
    """An absent `[item]` can stand among them."""
    literals: tuple[tuple[str, str], ...]
    """Terminal and text of each literal that it can hold."""


@runtime_checkable
class ConfigurableTarget(Protocol):
    """A target that a grammar completes, by names after the target's and by `//! op` lines; others refuse both."""

    def configure(self, arguments: tuple[str, ...], operations: Operations) -> Target:
        """The target for one grammar.

        Args:
            arguments: the names in brackets after the target's name.
            operations: the ops that the grammar defines.

        Raises:
            DslcError: if they do not fit; a problem without a place is shown at the `target` line.
        """


@runtime_checkable
class AlternativeChecker(Protocol):
    """A target that judges each alternative of a grammar itself, where a list of known names does not do."""

    def check_alternative(self, form: AlternativeForm) -> Iterable[Diagnostic]:
        """What is wrong with an alternative, whatever sentence it stands in; without places."""


def target_names() -> tuple[str, ...]:
    """Names of all targets, those of installed plug-ins too, sorted; none of them is imported.

    Example:
        >>> "conv_net" in target_names()
        True
    """
    return tuple(sorted({*_shipped_names(), *plugin_names()}))


def _shipped_names() -> frozenset[str]:
    return frozenset(module.name for module in iter_modules(__path__))


@cache
def get_target(name: str) -> Target:
    """The target of that name.

    Raises:
        DslcError: DSLC402 if there is none, with the nearest name; DSLC413 or DSLC414 for a plug-in that cannot be
            loaded, or whose name is taken.
    """
    if name in plugin_names():
        return load_plugin(name, _shipped_names())
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
