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

DOUBLING = b"start: t0{A}\n" + b"".join(b"t%d{x}: t%d{x} | t%d{t%d{x}}\n" % (i, i + 1, i + 1, i + 1) for i in range(60))
SEVERAL: dict[str, tuple[dict[str, bytes], str]] = {
    "exponential templates": ({"case.lark": DOUBLING + b't60{x}: x "y"\nA: "a"\n'}, "DSLC132"),
    "templates without end": ({"case.lark": b'start: t{A}\nt{x}: x t{u{x}}\nu{x}: x x\nA: "a"\n'}, "DSLC132"),
    "templates with wide arguments": (
        {"case.lark": b"start: t0{A, A}\n" + b"".join(
            b"t%d{x, y}: t%d{x, y} t%d{y, x} t%d{p{x, y}, q{y, x}}\n" % (i, i + 1, i + 1, i + 1) for i in range(60))
            + b't60{x, y}: x y\np{x, y}: x | y\nq{x, y}: y | x\nA: "a"\n'}, "DSLC132"),
    "an import of itself": ({"case.lark": b"%import .case.start -> other\nstart: other\n"}, "DSLC134"),
    "imports that go round": ({"case.lark": b"%import .one.a\nstart: a\n", "one.lark": b"%import .two.b\na: b\n",
                               "two.lark": b"%import .one.a\nb: a\n"}, "DSLC134"),
    "a chain of 200 imports": ({"case.lark": b"%import .m0.r0\nstart: r0\n"} | {
        f"m{i}.lark": b"%%import .m%d.r%d\nr%d: r%d\n" % (i + 1, i + 1, i, i + 1) for i in range(200)}, "DSLC132"),
    "imports that double": ({"case.lark": b"%import .m0 (a, b)\nstart: a b\n"} | {
        f"m{i}.lark": b"%%import .m%d.a -> c\n%%import .m%d.b -> d\na: c d\nb: d c\n" % (i + 1, i + 1)
        for i in range(40)} | {"m40.lark": b'a: "a" | "c"\nb: "b" | "d"\n'}, "DSLC322"),
    "an import by many names": ({"case.lark": b"".join(b"%%import .one.a -> a%d\n" % i for i in range(3000))
                                 + b"start: a0\n", "one.lark": b'a: "a" | "b"\n'}, "DSLC105"),
    "an import from the folder above": ({"case.lark": b"%import ..other.a\nstart: a\n"}, "DSLC102"),
    "an import by an absolute path": ({"case.lark": b"%import ./etc/passwd.a\nstart: a\n"}, "DSLC102"),
    "a link to a file outside": ({"case.lark": b"%import .link.a\nstart: a\n", "link.lark": b"../outside.lark"},
                                 "DSLC119"),
    "a link to a folder outside": ({"case.lark": b"%import .link.outside.a\nstart: a\n", "link": b".."}, "DSLC119"),
    "a link to itself": ({"case.lark": b"%import .link.a\nstart: a\n", "link.lark": b"link.lark"}, "DSLC120"),
    "an endless file": ({"case.lark": b"%import .link.a\nstart: a\n", "link.lark": b"/dev/zero"}, "DSLC120"),
    "a wide menu, repeated": ({"case.lark": b"//! max_tokens 9000\nstart: A~0..9000\nA: /[0-9]{4}/\n"}, "DSLC323"),
    "a wide choice, repeated": ({"case.lark":
        b"//! max_tokens 30000\nstart: (A B?)~0..9000\nA: /[0-9]{2}/\nB: /[0-9]/\n"},
                                "DSLC323"),
}  # fmt: skip
"""By name the files of a folder, and the code that the first ends in; what is named `link` is a link to its content."""
OUTSIDE = b'a: "outside"\n'
"""What stands in `outside.lark`, in the folder above."""


def all_codes() -> dict[str, str]:
    """The code that each case ends in."""
    return {name: code for name, (_, code) in (CASES | SEVERAL).items()}


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
    files = SEVERAL[name][0] if name in SEVERAL else {"case.lark": CASES[name][0]}
    dslc.check("activation")  # what is imported and cached once is no part of the case
    with tempfile.TemporaryDirectory() as folder:
        inner = Path(folder, "inner")
        inner.mkdir()
        path, told = inner / "case.lark", Path(folder, "told")
        Path(folder, "outside.lark").write_bytes(OUTSIDE)
        for file, content in files.items():
            if file.startswith("link"):
                (inner / file).symlink_to(content.decode())
            else:
                (inner / file).write_bytes(content)
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
    expected = all_codes()
    for _ in range(count):
        for name, (code, seconds) in run_cases().items():
            assert code == expected[name], f"{name}: {code}, not {expected[name]}"
            assert seconds <= SECONDS, f"{name}: {seconds:.2f} s"
            slowest, slowest_name = max((slowest, slowest_name), (seconds, name))
    return f"{len(expected)} grammars, each refused within 500 MB; slowest {slowest:.2f} s of CPU ({slowest_name})"


if __name__ == "__main__":
    print(json.dumps({name: run_case(name) for name in all_codes()}))
