"""NAS-Bench-201: cells whose accuracy on CIFAR-10 was recorded for all 15,625 of them, so that a child costs nothing.

Reward: the recorded accuracy in percent, read from the table of the package analog-nasbench (analognasbench), where
each cell of dong2020 was trained anew: one figure a cell, so there is none apart for a test. Four more figures of the
table can be asked for by the option `quantity`.

The table is a pickle. It is read by an unpickler that knows the two record types in it and refuses every other name, so
nothing in the file is executed, and the package itself is never imported.
"""

from __future__ import annotations

import io
import math
import pickle
import re
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.search.missing_extra import missing_extra
from dslc.search.outcome import Context, Outcome

if TYPE_CHECKING:
    from dslc.space import Program, Space

OPERATIONS = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
"""In the order in which the table numbers them."""
EDGES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
"""Start and end node of each number of the table's keys, in their order."""
QUANTITIES = ("baseline_accuracy", "ptq_accuracy", "qat_accuracy", "noisy_accuracy", "analog_accuracy")
"""In percent: as trained; weights quantised after or in training; on noisy hardware, or trained for it."""
RESIDUAL = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"
"""The cell that is a residual block. Source: dong2020, table 4."""
_NODES = (1, 2, 3)

Cell = tuple[int, ...]
"""A key of the table: the number of the operation on each of EDGES."""


class Records(NamedTuple):
    """The table."""

    figures: Mapping[Cell, Mapping[str, float]]
    """Of each cell, by QUANTITIES, in percent."""
    sha256: str
    """Of the file."""


class NasBench201Task:
    """The recorded accuracy of a cell; the module says from where."""

    name = "nasbench201"
    accepts: tuple[str, ...] | None = None
    metric = "recorded accuracy on CIFAR-10"
    unit = "%"
    floor = 0.0
    evaluations = 300
    options: Mapping[str, Any] = {"quantity": "baseline_accuracy"}
    """Options and their defaults: `quantity` is one of QUANTITIES."""

    def __init__(self) -> None:
        self.reference: tuple[str, float, str] | None = (
            "the residual block",
            93.44160000000002,
            "python -m dslc.search.tasks.nasbench201",
        )

    def prepare(self, space: Space, options: Mapping[str, Any]) -> str:
        """Read the table, once a process; returns its sha256.

        Raises:
            DslcError: DSLC634 for a grammar of other sentences, DSLC605 for an unknown quantity, DSLC606 without the
                package, DSLC631 for a table that is not as expected.
        """
        quantity = options.get("quantity", self.options["quantity"])
        if quantity not in QUANTITIES:
            message = f"`quantity` cannot be {quantity!r}"
            raise DslcError(
                Diagnostic(Code.BAD_SETTING, Severity.ERROR, message, help=f"use one of: {', '.join(QUANTITIES)}")
            )
        if read_cell(space[0].text) is None:
            raise DslcError(_not_a_cell(space[0].text))
        records = load_records()
        value = records.figures[_cell_of(RESIDUAL)][quantity]
        self.reference = ("the residual block", value, "python -m dslc.search.tasks.nasbench201")
        return records.sha256

    def evaluate(self, program: Program, context: Context) -> Outcome:
        """Look the cell up."""
        cell = read_cell(program.text)
        if cell is None:
            return Outcome(None, diagnostic=_not_a_cell(program.text))
        figures = load_records().figures[cell]
        return Outcome(figures[{**self.options, **context.options}["quantity"]], figures)

    def test(self, program: Program, context: Context) -> Outcome | None:  # noqa: ARG002
        """None: the table has one figure a cell."""
        return None


def make_task() -> NasBench201Task:
    """The task."""
    return NasBench201Task()


def read_cell(text: str) -> Cell | None:
    """The table's key of a cell in the benchmark's notation; None if it is not one.

    Example:
        >>> read_cell("|none~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_1x1~2|")
        (1, 1, 0, 1, 1, 3)
    """
    operations = {}
    nodes = "".join(text.split()).split("+")
    if len(nodes) != len(_NODES):
        return None
    for node, part in zip(_NODES, nodes, strict=True):
        edges = re.fullmatch(r"\|" + "".join(rf"(\w+)~{source}\|" for source in range(node)), part)
        if edges is None or not set(edges.groups()) <= set(OPERATIONS):
            return None
        operations.update({(source, node): OPERATIONS.index(name) for source, name in enumerate(edges.groups())})
    return tuple(operations[edge] for edge in EDGES)


@cache
def load_records() -> Records:
    """The table of the installed package, read once a process.

    Raises:
        DslcError: DSLC606 without the package, DSLC631 for a table that is not as expected.
    """
    found = find_spec("analognasbench")  # does not import it
    folders = None if found is None else found.submodule_search_locations
    if not folders:
        message = "the task `nasbench201` needs the table of analog-nasbench, which is not installed"
        raise missing_extra(message, "nasbench")
    return read_records(Path(next(iter(folders))) / "data.anb")


def read_records(path: Path) -> Records:
    """The table in a file; executes nothing that stands in it.

    Raises:
        DslcError: DSLC631 if the file cannot be read, names anything but the two record types, or lacks a figure.
    """
    try:
        data = path.read_bytes()
        table = _RecordUnpickler(io.BytesIO(data)).load()
        figures = {_check_cell(cell): _read_figures(record) for cell, record in table.items()}
    except Exception as error:  # whatever a damaged pickle makes its reader raise
        raise DslcError(_bad_table(path, f"{type(error).__name__}: {error}")) from error
    if len(figures) != len(OPERATIONS) ** len(EDGES):
        raise DslcError(_bad_table(path, f"it has {len(figures)} cells, not {len(OPERATIONS) ** len(EDGES)}"))
    return Records(figures, sha256(data).hexdigest())


class _Record:
    """What the table's objects become: their attributes and no behaviour."""


class _RecordUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type[_Record]:
        if (module, name) in (("analognasbench.data", "Architecture"), ("analognasbench.data", "DriftMeasurement")):
            return _Record
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is not loaded")

    def persistent_load(self, pid: Any) -> Any:  # noqa: ARG002
        raise pickle.UnpicklingError("it refers to objects outside")


def _check_cell(cell: Any) -> Cell:
    if not (isinstance(cell, tuple) and len(cell) == len(EDGES) and set(cell) <= set(range(len(OPERATIONS)))):
        raise ValueError(f"{cell!r} is not a cell")
    return cell


def _read_figures(record: Any) -> dict[str, float]:
    figures = {quantity: float(vars(record)[quantity]) for quantity in QUANTITIES}
    if not all(math.isfinite(value) for value in figures.values()):
        raise ValueError("a figure is not finite")
    return figures


def _cell_of(text: str) -> Cell:
    cell = read_cell(text)
    assert cell is not None, text
    return cell


def _bad_table(path: Path, reason: str) -> Diagnostic:
    message = f"`{path.name}` of analog-nasbench is not the expected table: {reason}"
    return Diagnostic(Code.DATA_UNREADABLE, Severity.ERROR, message, help="install version 0.1.3 of the package anew")


def _not_a_cell(text: str) -> Diagnostic:
    message = f"`{text}` is not a cell of NAS-Bench-201, so nothing is recorded for it"
    return Diagnostic(
        Code.NOT_RECORDED, Severity.ERROR, message, help="search the grammar `nasbench201` with this task"
    )


if __name__ == "__main__":
    accuracies = {cell: figures["baseline_accuracy"] for cell, figures in load_records().figures.items()}
    print(f"the residual block: {accuracies[_cell_of(RESIDUAL)]}; the best of all: {max(accuracies.values())}")
