"""The one table of ops: what each node of a program can be. `op_tables/` holds it by family."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType

from dslc.program import op_tables
from dslc.program.op_spec import OpSpec


def _collect_ops() -> Mapping[str, OpSpec]:
    table: dict[str, OpSpec] = {}
    for module in sorted(found.name for found in iter_modules(op_tables.__path__)):
        for spec in import_module(f"{op_tables.__name__}.{module}").TABLE:
            assert spec.name not in table, f"`{spec.name}` is defined once"
            table[spec.name] = spec
    return MappingProxyType(table)


OPS: Mapping[str, OpSpec] = _collect_ops()
"""Every op by name."""
