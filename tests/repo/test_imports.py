"""What importing dslc costs, and who may know whom."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "sklearn", "networkx", "matplotlib", "scipy", "hypothesis", "jinja2", "graphviz")


@pytest.mark.parametrize(
    "code",
    [
        "import dslc",
        "import dslc; dslc.check('conv_net')",
        "import dslc; dslc.compile('activation').sample(seed=0).text",
        "import dslc; dslc.compile('activation').sample(seed=0).source",
    ],
)
def test_compiling_imports_nothing_heavy(code: str) -> None:
    script = f"{code}\nimport sys\nprint([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_layers_hold() -> None:
    linter = Path(sys.executable).parent / "lint-imports"
    if not linter.exists():
        pytest.skip("import-linter is not installed beside this Python")
    done = subprocess.run([str(linter), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


LARKS_PUBLIC = ("from lark import ", "from lark.exceptions import ")


def test_only_one_module_touches_larks_private_parts() -> None:
    users = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "dslc").rglob("*.py")
        if any(
            line.startswith(("from lark", "import lark")) and not line.startswith(LARKS_PUBLIC)
            for line in path.read_text().splitlines()
        )
    }
    assert users == {"dslc/language/lark_parts.py"}
