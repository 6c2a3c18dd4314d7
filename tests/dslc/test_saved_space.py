"""Spaces as files."""

import io
import json
import random
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import dslc
from dslc.describe import describe_program, describe_samples, describe_space
from dslc.diagnostics import Code, DslcError
from dslc.grammars import grammar_names
from dslc.saved_space import FORMAT_VERSION, is_saved_space, load_compilation, pack_space
from tests.dslc.command_line import ROOT, run, run_process
from tests.strategies import grammar_texts

SPACES = [(name, start) for name in grammar_names() for start in dslc.compile(name).compilation.grammar.pragmas.starts]
WITHOUT_LARK = "import sys; sys.modules['lark'] = None\n"
"""Importing lark raises from here on."""

SMALL = """
//! target generic(x)
//! op twice(v) = 2 * v
//! max_tokens 9
start: item+ -> sum | "(" start ")"
item: KIND [SIGN] -> twice
KIND: "k"i | "x"
SIGN: /[+-]/
%ignore " "
"""


def _save(space: dslc.Space, folder: Path, name: str = "space.dslc") -> Path:
    return space.save(folder / name)


def _codes(function: Callable[[], Any]) -> list[Code]:
    with pytest.raises(DslcError) as failure:
        function()
    return [diagnostic.code for diagnostic in failure.value.diagnostics]


def _assert_same(found: dslc.Space, space: dslc.Space) -> None:
    """Every stage's value is equal, and so is all that is told of it."""
    first, second = found.compilation, space.compilation
    assert first.grammar == second.grammar
    assert first.grammar.pragmas == second.grammar.pragmas
    assert first.grammar.file == second.grammar.file
    assert first.bnf == second.bnf
    assert first.facts == second.facts
    assert first.lowering.classification == second.lowering.classification
    assert first.lowering.bnf is first.facts.trimmed  # shared as before
    assert first.diagnostics == second.diagnostics
    for name, value in vars(second.lowering.automaton).items():
        other = getattr(first.lowering.automaton, name)
        if isinstance(value, np.ndarray):
            assert value.dtype == other.dtype, name
            assert np.array_equal(value, other), name
        elif name not in ("scalar", "wide"):
            assert value == other, name
    assert describe_space(found) == describe_space(space)


def _source(program: dslc.Program) -> str:
    """The source, or what the target says against it."""
    try:
        return program.source.text
    except DslcError as error:
        return str(error)


# --- what is loaded is what was saved -------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "start"), SPACES)
def test_a_shipped_space_comes_back_whole(name: str, start: str, tmp_path: Path) -> None:
    space = dslc.compile(name, start=start)
    found = dslc.load(_save(space, tmp_path))
    _assert_same(found, space)
    programs, again = space.samples(3, seed=0), found.samples(3, seed=0)
    assert [p.tokens for p in programs] == [p.tokens for p in again]
    assert describe_samples(found, again, seed=0) == describe_samples(space, programs, seed=0)
    for program, other in zip(programs, again, strict=True):
        assert _source(other) == _source(program)
        assert describe_program(other, is_ambiguous=False) == describe_program(program, is_ambiguous=False)
        parsed = found.parse(program.text)
        assert (parsed.tokens, parsed.tree) == (program.tokens, program.tree)


@settings(max_examples=60)
@given(text=grammar_texts(ebnf=True, decorated=True))
def test_any_grammar_comes_back_whole(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    try:
        space = dslc.compile_text(text, max_tokens=8)
    except DslcError:
        return
    _assert_same(dslc.load(_save(space, tmp_path_factory.getbasetemp())), space)


IMPORTING = """
%import .parts.numbers (number, whole)
%extend number: "pi" -> pi
start: "sin" number | "shift" number
%ignore " "
"""
NUMBERS = """
number: SIGN DIGIT -> whole
SIGN: "+" | "-"
DIGIT: "0" | "5"
"""


@pytest.mark.parametrize("is_absolute", [True, False])
def test_imported_files_come_along(is_absolute: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Saved in one folder, loaded in another after the first is gone: every text is there once, and every place."""
    first, second = tmp_path / "first", tmp_path / "second"
    (first / "parts").mkdir(parents=True)
    second.mkdir()
    (first / "main.lark").write_text(IMPORTING)
    (first / "parts" / "numbers.lark").write_text(NUMBERS)
    monkeypatch.chdir(tmp_path)
    path = first / "main.lark" if is_absolute else Path("first/main.lark")
    assert run("compile", path, "-o", second / "space.dslc").code == 0
    space = dslc.compile(path)
    with zipfile.ZipFile(second / "space.dslc") as archive:
        stored = json.loads(archive.read("values.json"))
    assert [entry[2] for entry in stored if entry[0] == "SourceFile"] == [IMPORTING, NUMBERS]
    texts = {"main.lark": IMPORTING, "parts/numbers.lark": NUMBERS}
    assert space.compilation.grammar.texts() == texts
    shutil.rmtree(first)
    monkeypatch.chdir(second)
    found = dslc.load("space.dslc")
    assert found.compilation.grammar.texts() == texts
    _assert_same(found, space)
    places = [
        (alternative.span.file.name.rpartition("/")[2], alternative.span.location.line, alternative.span.text)
        for rule in found.compilation.grammar.rules
        for alternative in rule.alternatives
        if alternative.span is not None
    ]
    assert ("numbers.lark", 2, "SIGN DIGIT -> whole") in places
    assert ("main.lark", 3, '"pi" -> pi') in places
    assert run("sample", "space.dslc", "-n", "3").code == 0
    done = run("new", "starter", "--from", "space.dslc")
    assert done.code == 0, done.err
    assert (second / "starter" / "parts" / "numbers.lark").read_text() == NUMBERS


def test_places_survive(tmp_path: Path) -> None:
    found = dslc.load(_save(dslc.compile_text(SMALL, name="small.lark"), tmp_path))
    rules = {rule.name: rule for rule in found.compilation.grammar.rules}
    span = rules["item"].span
    assert span is not None
    assert (span.file.name, span.location.line) == ("small.lark", 6)
    assert found.file.text == SMALL
    operation = found.compilation.grammar.pragmas.operations[0]
    assert operation.span is not None
    assert operation.span.text == "twice"


def test_equal_spaces_make_equal_files() -> None:
    assert pack_space(dslc.compile("rnn_cell").compilation) == pack_space(dslc.compile("rnn_cell").compilation)


def test_a_saved_space_is_saved_alike(tmp_path: Path) -> None:
    first = _save(dslc.compile_text(SMALL), tmp_path)
    assert dslc.load(first).save(tmp_path / "again.dslc").read_bytes() == first.read_bytes()


@pytest.mark.parametrize(
    ("start", "max_tokens"), [("base_2", None), ("with_max_and_sin", 99), (None, None), ("start", None), (None, 99)]
)
def test_another_start_or_budget_is_compiled_from_the_saved_grammar(
    start: str | None, max_tokens: int | None, tmp_path: Path
) -> None:
    path = _save(dslc.compile("rnn_cell"), tmp_path)
    space = dslc.compile("rnn_cell", start=start, max_tokens=max_tokens)
    _assert_same(dslc.load(path, start=start, max_tokens=max_tokens), space)


def test_a_start_or_budget_that_cannot_be_is_refused(tmp_path: Path) -> None:
    path = _save(dslc.compile("rnn_cell"), tmp_path)
    assert _codes(lambda: dslc.load(path, start="nothing")) == [Code.UNKNOWN_START]
    assert _codes(lambda: dslc.load(path, max_tokens=1)) == [Code.BUDGET_TOO_SMALL]


def test_the_note_about_the_budget_is_about_this_one(tmp_path: Path) -> None:
    space = dslc.compile_text('start: "a" start | "b"')
    assert [d.code for d in space.diagnostics] == [Code.DEFAULT_BUDGET]
    path = _save(space, tmp_path)
    assert dslc.load(path).diagnostics == space.diagnostics
    assert dslc.load(path, max_tokens=7).diagnostics == ()


def test_a_budget_of_its_own_is_kept(tmp_path: Path) -> None:
    space = dslc.load(_save(dslc.compile("optimizer", max_tokens=8), tmp_path))
    assert (space.max_tokens, space.lowering.automaton.max_budget) == (8, 8)


def test_long_repetitions_are_stored(tmp_path: Path) -> None:
    space = dslc.compile_text('start: A~1..200\nA: "a" | "b"')
    assert dslc.load(_save(space, tmp_path)).count() == space.count()


# --- commands -------------------------------------------------------------------------------------------------------


def test_compile_says_what_it_wrote(tmp_path: Path) -> None:
    path = tmp_path / "a.dslc"
    done = run("compile", "activation", "-o", path, "--json")
    assert done.document["files"] == [str(path)]
    assert dslc.load(path).name == "activation"
    done = run("compile", "activation", "-o", path)
    assert (done.code, "DSLC681" in done.err) == (1, True)
    done = run("compile", "conv_net", "-o", path, "--force")
    assert (done.code, done.out, done.err) == (0, "", f"wrote {path}\n")


def test_a_name_that_commands_would_not_know_is_refused(tmp_path: Path) -> None:
    assert run("compile", "activation", "-o", tmp_path / "a.zip").code == 2


def test_the_default_name_is_that_of_the_grammar(tmp_path: Path) -> None:
    done = run_process("compile", "activation", folder=tmp_path)
    assert (done.code, done.err) == (0, "wrote activation.dslc\n")


@pytest.mark.parametrize(
    "command",
    [
        ("info", "--json"),
        ("info",),
        ("info", "--start", "base_2", "--json"),
        ("check", "--json"),
        ("sample", "--seed", "3"),
        ("sample", "--seed", "3", "--json", "--max-tokens", "40"),
        ("emit", "--sample", "--seed", "5"),
        ("draw", "--what", "tree", "-o", "-"),
        ("draw", "--what", "graph", "-o", "-"),
        ("draw", "--what", "automaton", "-o", "-"),
        ("draw", "--what", "railroad", "-o", "-"),
    ],
)
def test_every_command_prints_what_it_prints_of_the_grammar(command: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "cell.dslc"
    assert run("compile", "rnn_cell", "-o", path).code == 0
    name, *options = command
    assert run(name, path, *options) == run(name, "rnn_cell", *options)


def test_parse_compile_and_new_take_one(tmp_path: Path) -> None:
    path, again = tmp_path / "a.dslc", tmp_path / "b.dslc"
    assert run("compile", "activation", "-o", path).code == 0
    sentence = "x x identity sigmoid mul"
    assert run("parse", path, sentence, "--json") == run("parse", "activation", sentence, "--json")
    assert run("compile", path, "-o", again).code == 0
    assert again.read_bytes() == path.read_bytes()
    assert run("new", tmp_path / "one", "--from", path).code == 0
    assert run("new", tmp_path / "two", "--from", "activation").code == 0
    for file in (tmp_path / "one").iterdir():
        assert file.read_text() == (tmp_path / "two" / file.name).read_text()


def test_check_reads_every_start_of_the_saved_grammar(tmp_path: Path) -> None:
    text = '//! start start other\n//! size 3 of other\nstart: A\nother: A A\nA: "x" | "y"\n'
    (tmp_path / "sizes.lark").write_text(text)
    path = _save(dslc.compile(tmp_path / "sizes.lark"), tmp_path)
    found = dslc.check(path)
    assert [d.code for d in found] == [Code.SIZE_CLAIM_WRONG]
    assert found == dslc.check(tmp_path / "sizes.lark")


# --- without lark ---------------------------------------------------------------------------------------------------


def test_lark_cannot_be_imported_in_these_tests() -> None:
    done = _run_python(f"{WITHOUT_LARK}import lark", ROOT)
    assert "ModuleNotFoundError" in done.stderr
    done = _run_python(f"{WITHOUT_LARK}import dslc\ndslc.compile('activation')", ROOT)
    assert "ModuleNotFoundError" in done.stderr


def _run_python(script: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{script}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_commands_run_without_lark(tmp_path: Path) -> None:
    """info, check, sample, parse, emit, draw, search and what follows a search, in one process."""
    run("compile", "activation", "-o", tmp_path / "a.dslc")
    commands = [
        ["info", "a.dslc"],
        ["info", "a.dslc", "--max-tokens", "5"],
        ["check", "a.dslc"],
        ["sample", "a.dslc", "-n", "3", "--json"],
        ["parse", "a.dslc", "x x identity sigmoid mul"],
        ["emit", "a.dslc", "x x identity sigmoid mul"],
        ["draw", "a.dslc", "x x identity sigmoid mul", "--what", "tree", "-o", "tree.svg"],
        ["draw", "a.dslc", "x x identity sigmoid mul", "--what", "graph", "-o", "graph.svg"],
        ["draw", "a.dslc", "--what", "automaton", "-o", "automaton.svg"],
        ["draw", "a.dslc", "--what", "railroad", "-o", "railroad.svg"],
        ["compile", "a.dslc", "-o", "b.dslc"],
        ["search", "a.dslc", "--task", "reward:score", "--evaluations", "6", "--control", "0", "--run", "r"],
        ["best", "r"],
        ["report", "r"],
        ["sample", "--policy", "r", "-n", "2"],
    ]
    (tmp_path / "reward.py").write_text("def score(program, context):\n    return float(len(program.text))\n")
    script = f"""{WITHOUT_LARK}
from dslc.cli.group import dslc
for command in {commands!r}:
    try:
        dslc.main(command, prog_name="dslc")
    except SystemExit as done:
        assert done.code == 0, command
print([name for name in sys.modules if name.split(".")[0] == "lark" and sys.modules[name]])
"""
    done = _run_python(script, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_space_without_target_runs_without_lark(tmp_path: Path) -> None:
    space = dslc.compile_text(SMALL)
    _save(space, tmp_path)
    script = f"{WITHOUT_LARK}import dslc; s = dslc.load('space.dslc'); print(s.count(), s.sample(seed=1).text)"
    done = _run_python(script, tmp_path)
    assert done.stdout == f"{space.count()} {space.sample(seed=1).text}\n"


# --- what is no saved space -----------------------------------------------------------------------------------------


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    data = pack_space(dslc.compile_text(SMALL).compilation)
    path = tmp_path / "a.dslc"
    places = sorted({0, 1, 2, 4, 30, len(data) - 1, *random.Random(0).sample(range(len(data)), 60)})
    for place in places:
        path.write_bytes(data[:place])
        assert _codes(lambda: dslc.load(path)) == [Code.SPACE_UNREADABLE], place


def test_a_damaged_file_is_refused_or_reads_as_before(tmp_path: Path) -> None:
    """Some bytes of an archive carry nothing, such as the date of an entry; no damage changes what is read."""
    space = dslc.compile_text(SMALL)
    data = pack_space(space.compilation)
    path = tmp_path / "a.dslc"
    generator = random.Random(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(data)
        for place in generator.sample(range(len(data)), generator.choice((1, 1, 3))):
            damaged[place] ^= 1 << generator.randrange(8)
        path.write_bytes(damaged)
        found = _load_or_none(path)
        if found is None:
            refused += 1
        else:
            _assert_same(found, space)
    assert refused > 250


def _load_or_none(path: Path) -> dslc.Space | None:
    """The space, or None if it is refused as damaged."""
    try:
        return dslc.load(path)
    except DslcError as error:
        codes = {diagnostic.code for diagnostic in error.diagnostics}
    # The size that an archive states of itself may be what changed.
    assert codes <= {Code.SPACE_UNREADABLE, Code.SPACE_TOO_LARGE}
    return None


def _repack(path: Path, change: Callable[[dict[str, bytes]], None], target: Path, *, is_signed: bool = True) -> Path:
    """The archive with other contents; the manifest states their sha256 where the forger took the trouble."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    change(contents)
    manifest = contents.get("manifest.json", b"")
    if is_signed and b"sha256" in manifest:
        digest = sha256()
        for name, content in contents.items():
            if name != "manifest.json":
                digest.update(f"{name}\0{len(content)}\0".encode() + content)
        contents["manifest.json"] = json.dumps({**json.loads(manifest), "sha256": digest.hexdigest()}).encode()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return target


def _set_manifest(**changes: Any) -> Callable[[dict[str, bytes]], None]:
    def change(contents: dict[str, bytes]) -> None:
        contents["manifest.json"] = json.dumps({**json.loads(contents["manifest.json"]), **changes}).encode()

    return change


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"format": f"dslc.space/{FORMAT_VERSION + 1}"}, Code.NEWER_SPACE),
        ({"format": f"dslc.space/{FORMAT_VERSION + 1}", "layout": "x", "tables": None}, Code.NEWER_SPACE),
        ({"layout": "0" * 64}, Code.OTHER_LAYOUT),
        ({"layout": None}, Code.OTHER_LAYOUT),
        ({"format": "dslc.space/x"}, Code.SPACE_UNREADABLE),
        ({"format": None}, Code.SPACE_UNREADABLE),
        ({"tables": 3}, Code.SPACE_UNREADABLE),
        ({"tables": "9"}, Code.SPACE_UNREADABLE),
    ],
)
def test_what_another_version_wrote_is_refused_by_name(changes: dict[str, Any], code: Code, tmp_path: Path) -> None:
    path = _save(dslc.compile_text(SMALL), tmp_path)
    other = _repack(path, _set_manifest(**changes, dslc="9.9.9"), tmp_path / "other.dslc")
    with pytest.raises(DslcError) as failure:
        dslc.load(other)
    (diagnostic,) = failure.value.diagnostics
    assert diagnostic.code is code
    assert "other.dslc" in diagnostic.message
    if code is not Code.SPACE_UNREADABLE:
        assert "9.9.9" in f"{diagnostic.message} {diagnostic.help}"


def _set_table(name: str, content: bytes) -> Callable[[dict[str, bytes]], None]:
    def change(contents: dict[str, bytes]) -> None:
        contents[name] = content

    return change


def _pickled(contents: dict[str, bytes]) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([object()], dtype=object), allow_pickle=True)
    contents["tables/0.npy"] = buffer.getvalue()


def _edit_values(change_objects: Callable[[list[Any]], None]) -> Callable[[dict[str, bytes]], None]:
    def change(contents: dict[str, bytes]) -> None:
        objects = json.loads(contents["values.json"])
        change_objects(objects)
        contents["values.json"] = json.dumps(objects).encode()

    return change


def _point_outside(contents: dict[str, bytes]) -> None:
    array = np.load(io.BytesIO(contents["tables/0.npy"]))
    buffer = io.BytesIO()
    np.save(buffer, np.full_like(array, 10_000))
    contents["tables/0.npy"] = buffer.getvalue()


@pytest.mark.parametrize(
    "change",
    [
        _set_table("values.json", b"["),
        _set_table("values.json", b"[" * 200_000),
        _set_table("values.json", b"{}"),
        _set_table("values.json", b"[]"),
        _set_table("values.json", b"\xff\xfe"),
        _set_table("values.json", b"[[" + b"9" * 5000 + b"]]"),
        _set_table("manifest.json", b"{}"),
        _set_table("manifest.json", b"7"),
        _set_table("manifest.json", b"[" * 200_000),
        _set_table("more.json", b"{}"),
        _set_table("tables/0.npy", b""),
        _set_table("tables/0.npy", b"\x93NUMPY\x01\x00v\x00{'descr': '<i4', 'fortran_order': False, 'shape': (9"),
        lambda contents: contents.__delitem__("values.json"),
        lambda contents: contents.__delitem__("manifest.json"),
        _pickled,
        _point_outside,
        _edit_values(lambda objects: objects.reverse()),
        _edit_values(lambda objects: objects.pop()),
        _edit_values(lambda objects: objects[0].append(1)),
        _edit_values(lambda objects: objects[0].__setitem__(0, "Path")),
        _edit_values(lambda objects: objects[0].__setitem__(1, 7)),
    ],
)
def test_forged_contents_are_refused(change: Callable[[dict[str, bytes]], None], tmp_path: Path) -> None:
    path = _save(dslc.compile_text(SMALL), tmp_path)
    forged = _repack(path, change, tmp_path / "forged.dslc")
    assert _codes(lambda: dslc.load(forged)) == [Code.SPACE_UNREADABLE]


def test_contents_that_are_not_those_of_the_manifest_are_refused(tmp_path: Path) -> None:
    path = _save(dslc.compile_text(SMALL), tmp_path)
    change = _edit_values(lambda objects: objects[0].__setitem__(1, "other"))
    other = _repack(path, change, tmp_path / "other.dslc", is_signed=False)
    with pytest.raises(DslcError, match="sha256"):
        dslc.load(other)
    assert dslc.load(_repack(path, change, tmp_path / "signed.dslc")).file.name == "other"


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _save(dslc.compile_text(SMALL), tmp_path)
    monkeypatch.setenv("DSLC_LIMIT_SAVED_BYTES", "1000")
    assert _codes(lambda: dslc.load(path)) == [Code.SPACE_TOO_LARGE]
    assert _codes(lambda: pack_space(dslc.compile_text(SMALL).compilation)) == [Code.SPACE_TOO_LARGE]


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x05\x06" + bytes(18), b'start: "x"\n', bytes(1000)])
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.dslc"
    path.write_bytes(content)
    assert _codes(lambda: load_compilation(path)) == [Code.SPACE_UNREADABLE]
    assert run("info", path).code == 1
    assert [d.code for d in dslc.check(path)] == [Code.SPACE_UNREADABLE]


def test_files_that_cannot_be(tmp_path: Path) -> None:
    assert _codes(lambda: dslc.load(tmp_path / "none.dslc")) == [Code.FILE_NOT_FOUND]
    assert _codes(lambda: dslc.compile(tmp_path / "none.dslc")) == [Code.FILE_NOT_FOUND]
    assert _codes(lambda: dslc.load(tmp_path)) == [Code.SPACE_UNREADABLE]
    assert _codes(lambda: dslc.load("a\0.dslc")) == [Code.SPACE_UNREADABLE]
    assert _codes(lambda: dslc.compile_text(SMALL).save(tmp_path / "no" / "a.dslc")) == [Code.CANNOT_WRITE]


def test_the_suffix_is_what_commands_know() -> None:
    assert is_saved_space(Path("a/b.dslc"))
    assert not is_saved_space("a.dslc/b.lark")
