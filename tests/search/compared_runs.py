"""Run folders of several strategies and seeds, made by hand, for comparisons."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from tests.search.run_folders import Row, write_run


def write_replicate(
    folder: Path,
    *,
    seed: int = 0,
    strategy: str = "policy_gradient",
    level: float = 0.9,
    samples: int = 120,
    rows: list[Row] | None = None,
    settings: dict[str, Any] | None = None,
    **changes: Any,
) -> Path:
    """A run whose rewards rise to about `level`; `settings` are put into its config, `changes` into run.json."""
    write_run(folder, invent_rows(seed, level, samples) if rows is None else rows, **changes)
    info = json.loads((folder / "run.json").read_text())
    info["config"] |= {"seed": seed, "strategy": strategy, "strategy_options": {}, **(settings or {})}
    (folder / "run.json").write_text(json.dumps(info))
    return folder


def invent_rows(seed: int, level: float, samples: int) -> list[Row]:
    """Samples of both arms, those of the strategy rising, some of them failed."""
    generator = random.Random(f"{seed} {level}")
    shift = generator.gauss(0, 0.01)
    rows = []
    for number in range(samples):
        is_control = number % 3 == 2
        center = 0.7 if is_control else level + shift - 0.2 * 0.97**number
        reward = None if generator.random() < 0.03 else round(generator.gauss(center, 0.02), 4)
        code = None if reward is not None else "DSLC611"
        rows.append(Row(number // 15, f"s{number}", f"h{number}", reward, is_control, (), code, "it broke"))
    return rows
