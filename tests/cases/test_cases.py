"""Every page of this folder says what the compiler does; `DSLC_REFRESH_GOLDEN=1` writes the pages anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cases.literate import PRINTERS, Case, print_block, read_cases, refresh_page

PAGES = sorted(Path(__file__).parent.glob("*.md"))
if os.environ.get("DSLC_REFRESH_GOLDEN"):
    for path in PAGES:
        refresh_page(path)
CASES = [(path.stem, case) for path in PAGES for case in read_cases(path.read_text())]


@pytest.mark.parametrize("case", [pytest.param(case, id=f"{page}: {case.title}") for page, case in CASES])
def test_case(case: Case) -> None:
    for block in case.blocks:
        assert print_block(case, block) == block.expected, f"{block.printer} {block.given}"


def test_every_printer_is_shown_and_every_title_differs() -> None:
    used = {block.printer for _, case in CASES for block in case.blocks}
    assert used == {*PRINTERS, "error"}
    titles = [case.title for _, case in CASES]
    assert len(set(titles)) == len(titles) >= 15
