"""Grammar files that ask for too much: each ends in a clear error, within 2 s of CPU time and 500 MB of memory."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import dslc
from dslc.diagnostics import DslcError

MEMORY = 500 * 2**20
"""Bytes of address space that a child may have (RLIMIT_AS)."""
SECONDS = 2.0
"""CPU time that a child may take; the limits themselves count work, never seconds."""

CASES: dict[str, tuple[bytes, str]] = {
    "nested repetition": (b'start: (("x"~1000)~1000)~1000\n', "DSLC132"),
    "nested repetition in a terminal": (b'start: A\nA: ((("a"|"b")~1..99)~1..99)~1..99\n', "DSLC113"),
    "nested repetition in a regex": (b"start: A\nA: /((a|b){99}){99}/\n", "DSLC113"),
    "huge class": (rb"start: A\nA: /[\u0000-\U0010ffff]/".replace(b"\\n", b"\n") + b"\n", "DSLC113"),
    "huge class, repeated": ("start: A\nA: /[一-龥]{2}/\n".encode(), "DSLC113"),
    "complement of a class": (b"start: A\nA: /[^a]/\n", "DSLC113"),
    "regex with very many states": (b"start: A\nA: /(a|b)*a(a|b){18}/\n", "DSLC113"),
    "long alternation in a regex": (b"start: A\nA: /" + b"|".join(b"w%d" % i for i in range(9000)) + b"/\n", "DSLC113"),
    "deep parentheses": (b"start: " + b"(" * 3000 + b'"x"' + b")" * 3000 + b"\n", "DSLC132"),
    "deep groups in a regex": (b"start: A\nA: /" + b"(" * 3000 + b"a" + b")" * 3000 + b"/\n", "DSLC113"),
    "terminals that double": (b"start: A0\n" + b"".join(b"A%d: A%d A%d\n" % (i, i + 1, i + 1) for i in range(60))
                              + b'A60: "x"\n', "DSLC113"),
    "rules that double": (b"start: a0\n" + b"".join(b"a%d: a%d a%d\n" % (i, i + 1, i + 1) for i in range(60))
                          + b'a60: "x" | "y"\n', "DSLC322"),
    "a line of 1 MB": (b"start: " + b'"x" ' * 250_000 + b"\n", "DSLC132"),
    "a name of 1 MB": (b"s" * 1_000_000 + b': "x"\n', "DSLC132"),
    "a string of 1 MB": (b'start: "' + b"x" * 1_000_000 + b'"\n', "DSLC132"),
    "null bytes": (b'start: "a\0b"\n', "DSLC106"),
    "invalid UTF-8": (b'start: "\xff"\n', "DSLC106"),
}  # fmt: skip
"""Content of a file, and the code that it ends in."""


def run_cases() -> dict[str, tuple[str, float]]:
    """What `run_case` gives for each case, from a process that has loaded nothing but dslc: memory is inherited."""
    command = [sys.executable, "-m", "tests.soaks.limits"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {name: (code, seconds) for name, (code, seconds) in json.loads(done.stdout).items()}


def run_case(name: str) -> tuple[str, float]:
    """Code of the first error of `dslc.check`, and CPU seconds, in a child process that has no more memory.

    Fails with AssertionError if the child ends in another way, or takes longer.
    """
    content, _ = CASES[name]
    dslc.check("activation")  # what is imported and cached once is no part of the case
    with tempfile.TemporaryDirectory() as folder:
        path, told = Path(folder, "case.lark"), Path(folder, "told")
        path.write_bytes(content)
        child = os.fork()
        if child == 0:
            _check_in_child(path, told)
        _, status = os.waitpid(child, 0)
        assert status == 0, f"{name}: the child ended with status {status}"
        code, seconds = told.read_text().split()
    return code, float(seconds)


def _check_in_child(path: Path, told: Path) -> None:
    code = 1
    try:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        start = time.process_time()
        resource.setrlimit(resource.RLIMIT_CPU, (int(start) + 10, int(start) + 10))
        try:
            dslc.compile(path)
        except DslcError as error:
            str(error)
            told.write_text(f"{error.diagnostics[0].code.value} {time.process_time() - start}")
            code = 0
    except BaseException as failure:  # the child must not go on as a second copy of the test run
        print(f"{type(failure).__name__}: {failure}", file=sys.stderr)
    finally:
        os._exit(code)


def soak_limits(count: int) -> str:
    """Every case, `count` times; the line for docs/soak.md."""
    slowest, slowest_name = 0.0, ""
    for _ in range(count):
        for name, (code, seconds) in run_cases().items():
            assert code == CASES[name][1], f"{name}: {code}, not {CASES[name][1]}"
            assert seconds <= SECONDS, f"{name}: {seconds:.2f} s"
            slowest, slowest_name = max((slowest, slowest_name), (seconds, name))
    return f"{len(CASES)} files, each refused within 500 MB; slowest {slowest:.2f} s of CPU ({slowest_name})"


if __name__ == "__main__":
    print(json.dumps({name: run_case(name) for name in CASES}))
