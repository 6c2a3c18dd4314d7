"""The one table of ops: what each node of a program can be. `op_tables/` holds it by family.

A target plug-in adds its own with `register_ops`, which `get_target` calls when the plug-in is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.program import op_tables
from dslc.program.op_spec import OpSpec


def _collect_ops() -> dict[str, OpSpec]:
    table: dict[str, OpSpec] = {}
    for module in sorted(found.name for found in iter_modules(op_tables.__path__)):
        for spec in import_module(f"{op_tables.__name__}.{module}").TABLE:
            assert spec.name not in table, f"`{spec.name}` is defined once"
            table[spec.name] = spec
    return table


_table = _collect_ops()
SHIPPED_OPS: Mapping[str, OpSpec] = MappingProxyType(dict(_table))
"""The ops that come with dslc, by name: the same in every process, whatever plug-ins are loaded."""
OPS: Mapping[str, OpSpec] = MappingProxyType(_table)
"""Every op by name: those that come with dslc, and those of loaded plug-ins."""


def register_ops(specs: Iterable[OpSpec], owner: str) -> None:
    """Add ops to the table, all or none; those that it has already, the very same, are no clash.

    Args:
        specs: the ops.
        owner: whose they are, for the message.

    Raises:
        DslcError: DSLC414 if a name is taken.
    """
    specs = tuple(specs)
    clashes = [spec for spec in specs if OPS.get(spec.name, spec) is not spec]
    if clashes or len({spec.name for spec in specs}) < len(specs):
        names = ", ".join(f"`{spec.name}`" for spec in clashes or specs)
        raise DslcError(
            Diagnostic(
                Code.NAME_CLASH,
                Severity.ERROR,
                f"{owner} brings ops whose names are taken: {names}",
                help="rename them in the plug-in; a name of its own begins best with the target's",
            )
        )
    _table.update({spec.name: spec for spec in specs})
