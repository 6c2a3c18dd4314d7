"""The long tests are described where a reader looks for them."""

import re
from pathlib import Path

from tests import soak

ROOT = Path(__file__).parents[2]


def test_every_long_test_is_described() -> None:
    described = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "soak.md").read_text(), re.MULTILINE)
    assert described == sorted(soak.SOAKS)
    listed = re.findall(r"^python -m tests\.soak (\w+) ", soak.__doc__ or "", re.MULTILINE)
    assert listed == sorted(soak.SOAKS)
