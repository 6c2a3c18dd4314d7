"""Checkpoints of a run: the strategy's tensors as safetensors, everything else as JSON; never unpickled."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from dslc.diagnostics import Code, Diagnostic, Severity

FORMAT = 1
KEPT = 3
"""Checkpoints that stay; older ones are removed."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a run between two batches."""

    batch: int
    """Batches finished."""
    strategy: Mapping[str, Any]
    """The strategy's `state_dict`: tensors and JSON values."""
    counters: Mapping[str, Any]
    """The engine's counters, as JSON values."""


def write_file(path: Path, data: bytes) -> None:
    """Put `data` at `path` so that a crash leaves the old file or the new one, never half of one."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        with suppress(OSError):  # half a file on a full disk is in the way of all others
            temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_checkpoint(run_dir: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoints/NNNNNNNN.safetensors`, then its `.json`, which makes it valid; keep the last three."""
    import torch
    from safetensors.torch import save

    folder = run_dir / "checkpoints"
    folder.mkdir(exist_ok=True)
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in checkpoint.strategy.items() if torch.is_tensor(v)}
    values = {k: v for k, v in checkpoint.strategy.items() if not torch.is_tensor(v)}
    blob = save(tensors)
    name = f"{checkpoint.batch:08d}"
    write_file(folder / f"{name}.safetensors", blob)
    content = {
        "format": FORMAT,
        "batch": checkpoint.batch,
        "counters": dict(checkpoint.counters),
        "strategy": values,
        "sha256": sha256(blob).hexdigest(),
    }
    write_file(folder / f"{name}.json", json.dumps(content).encode())
    for old in _numbers(run_dir)[:-KEPT]:
        (folder / f"{old:08d}.json").unlink(missing_ok=True)  # first, so that no half checkpoint looks valid
        (folder / f"{old:08d}.safetensors").unlink(missing_ok=True)


def read_checkpoints(run_dir: Path) -> tuple[list[Checkpoint], tuple[Diagnostic, ...]]:
    """All readable checkpoints, the last first, and a warning for each that is damaged."""
    found, warnings = [], []
    for number in reversed(_numbers(run_dir)):
        try:
            found.append(_read_checkpoint(run_dir / "checkpoints" / f"{number:08d}"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            warnings.append(
                Diagnostic(
                    Code.CHECKPOINT_UNREADABLE,
                    Severity.WARNING,
                    f"checkpoint {number:08d} of `{run_dir}` is damaged and was skipped",
                    help="nothing is lost: the run goes on from the one before, with the recorded rewards",
                    notes=(f"{type(error).__name__}: {error}",),
                )
            )
    return found, tuple(warnings)


def _numbers(run_dir: Path) -> list[int]:
    return sorted(int(path.stem) for path in (run_dir / "checkpoints").glob("????????.json") if path.stem.isdigit())


def _read_checkpoint(stem: Path) -> Checkpoint:
    from safetensors.torch import load

    content = json.loads(stem.with_suffix(".json").read_bytes())
    if content["format"] != FORMAT:
        raise ValueError(f"format {content['format']} is not {FORMAT}")
    blob = stem.with_suffix(".safetensors").read_bytes()
    if sha256(blob).hexdigest() != content["sha256"]:
        raise ValueError("the tensors are not those that were written")
    return Checkpoint(content["batch"], {**content["strategy"], **load(blob)}, content["counters"])
