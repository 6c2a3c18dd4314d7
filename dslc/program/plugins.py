"""Targets of other packages: entry points of the group `dslc.targets`, imported only when a grammar names one.

```toml
[project.entry-points."dslc.targets"]
mlp = "dslc_mlp:TARGET"
```

The object has everything that `dslc.program.targets.Target` names. It may bring ops of its own in an attribute
`operations`, a tuple of `OpSpec`; they join the table when the plug-in is loaded.
"""

from __future__ import annotations

import traceback
from collections.abc import Collection
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.program.ops import register_ops

if TYPE_CHECKING:
    from dslc.program.targets import Target

GROUP = "dslc.targets"
SHOWN_FRAMES = 3
"""Last frames of a plug-in that cannot be loaded."""
NEEDED = (
    "name",
    "builds",
    "class_name",
    "aliases",
    "build_arguments",
    "example_arguments",
    "elaborate",
    "write_formula",
    "plot_inputs",
    "emit",
)
"""What every target has."""


def plugin_names() -> frozenset[str]:
    """Names of the targets that installed packages offer; nothing is imported."""
    return frozenset(point.name for point in entry_points(group=GROUP))


def load_plugin(name: str, shipped: Collection[str]) -> Target:
    """The target of that name that an installed package offers, its ops added to the table.

    Args:
        name: one of `plugin_names`.
        shipped: names of the targets that come with dslc, which no plug-in can take.

    Raises:
        DslcError: DSLC414 if two offer the name or an op's, DSLC413 if it cannot be imported or is no target.
    """
    # A package that stands twice on the path (a checkout and its installation) offers one and the same.
    offered = list({(point.value, _owner(point)): point for point in entry_points(group=GROUP, name=name)}.values())
    _refuse_clash(name, offered, shipped)
    (point,) = offered
    title = f"the target plug-in `{name}` of the package `{_owner(point)}`"
    try:
        target: Target = point.load()
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)[-SHOWN_FRAMES:]
        notes = tuple(f"{frame.filename}:{frame.lineno} in {frame.name}: {frame.line}" for frame in frames)
        what = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise _error(
            Code.PLUGIN_FAILED, f"{title} cannot be loaded: {what}", "mend or uninstall the package", notes
        ) from error
    missing = [attribute for attribute in NEEDED if not hasattr(target, attribute)]
    if missing:
        message = f"{title} is no target: `{point.value}` has no {', '.join(f'`{attribute}`' for attribute in missing)}"
        raise _error(Code.PLUGIN_FAILED, message, "let the entry point name an object that has them")
    if target.name != name:
        message = f"{title} calls itself `{target.name}`"
        raise _error(Code.PLUGIN_FAILED, message, "give the entry point and the target one name")
    register_ops(getattr(target, "operations", ()), title)
    return target


def _refuse_clash(name: str, offered: list[EntryPoint], shipped: Collection[str]) -> None:
    owners = " and ".join(f"`{_owner(point)}`" for point in offered)
    if name in shipped:
        message = f"the target `{name}` of {owners} has the name of one that comes with dslc"
    elif len(offered) > 1:
        message = f"more than one package offers a target `{name}`: {owners}"
    else:
        return
    raise _error(Code.NAME_CLASH, message, "uninstall all but one, or rename the target of a plug-in")


def _owner(point: EntryPoint) -> str:
    """Name and version of the package that an entry point is of."""
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else "without a name"


def _error(code: Code, message: str, help: str, notes: tuple[str, ...] = ()) -> DslcError:
    return DslcError(Diagnostic(code, Severity.ERROR, message, help=help, notes=notes))
