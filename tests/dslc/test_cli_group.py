"""What all commands share: help, versions, exit codes, one JSON document on stdout, colours, signals, completion."""

import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from dslc.cli import group
from dslc.cli.group import COMMANDS, dslc
from dslc.cli.terminal import document_text
from tests.dslc.command_line import ROOT, run, run_process


def test_help_lists_every_command_in_order() -> None:
    text = run("--help").out
    places = [text.index(f"\n  {name} ") for name in COMMANDS]
    assert places == sorted(places)
    assert "_DSLC_COMPLETE=bash_source" in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_every_command_module_is_a_command() -> None:
    shared = {"__init__", "group", "options", "progress", "terminal"}
    modules = {path.stem for path in (ROOT / "dslc" / "cli").glob("*.py")} - shared
    assert modules == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command(name: str) -> None:
    done = run(name, "--help")
    assert done.code == 0
    assert "Example" in done.out
    assert f"\n    dslc {name} " in done.out or f"\n    dslc {name}\n" in done.out
    assert "--json" in done.out
    assert "--quiet" in done.out
    assert all(len(line) <= 80 for line in done.out.splitlines())
    command = dslc.get_command(click.Context(dslc), name)
    assert command is not None
    assert command.short_help
    assert all(not isinstance(p, click.Option) or p.help for p in command.params)


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_name_options_that_exist(name: str) -> None:
    command = dslc.get_command(click.Context(dslc), name)
    assert command is not None
    options = {option for parameter in command.params for option in parameter.opts}
    epilog = command.epilog or ""
    used = {word for word in epilog.replace("=", " ").split() if word.startswith("-")}
    assert used <= options


def test_version() -> None:
    done = run("--version")
    assert [line.split()[0] for line in done.out.splitlines()] == ["dslc", "python", "torch", "device"]


@pytest.mark.parametrize("arguments", [("--version",), ("check", "conv_net"), ("sample", "activation", "-n", "1")])
def test_light_commands_load_no_heavy_package(arguments: tuple[str, ...]) -> None:
    heavy = ("torch", "sklearn", "networkx", "matplotlib", "scipy", "jinja2", "graphviz")
    script = (
        "import sys\nfrom dslc.cli.group import dslc\n"
        f"try: dslc.main({list(arguments)!r}, 'dslc')\nexcept SystemExit as end: code = end.code\n"
        f"print([name for name in {heavy} if name in sys.modules], code, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[] 0"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("inof",), "did you mean `info`"),
        (("info",), "GRAMMAR"),
        (("info", "conv_net", "--sed", "1"), "--sed"),
        (("sample", "conv_net", "-n", "many"), "many"),
        (("sample",), "--policy RUN"),
        (("draw",), "--best RUN"),
        (("emit", "activation"), "--sample"),
        (("search", "conv_net"), "--task"),
    ],
)
def test_usage_is_2(arguments: tuple[str, ...], words: str) -> None:
    done = run(*arguments)
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    document = run(*arguments, "--json").document
    assert [d["code"] for d in document["diagnostics"]] == ["DSLC682"]


def test_input_at_fault_is_1(tmp_path: Path) -> None:
    bad = tmp_path / "bad.lark"
    bad.write_text("start: missing\n")
    done = run("info", bad)
    assert (done.code, done.out) == (1, "")
    assert f"{bad}:1:8" in done.err
    done = run("info", bad, "--json")
    assert (done.code, done.err) == (1, "")
    assert done.document["counts"]["error"] == 1
    assert done.document["files"] == [str(bad)]


@pytest.mark.parametrize("is_json", [False, True])
def test_a_bug_is_70(is_json: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:  # noqa: ARG001
        raise ZeroDivisionError("seven by zero")

    monkeypatch.setattr("dslc.cli.info.compile_space", fail)
    done = run("info", "conv_net", *(["--json"] if is_json else []))
    assert done.code == 70
    text = done.out if is_json else done.err
    assert "DSLC901" in text
    assert "ZeroDivisionError: seven by zero" in text
    assert "dslc info conv_net" in text
    assert "please send" in text
    assert (done.err if is_json else done.out) == ""


def test_an_interrupt_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object, **options: object) -> None:  # noqa: ARG001
        raise KeyboardInterrupt

    monkeypatch.setattr("dslc.cli.info.compile_space", interrupt)
    done = run("info", "conv_net")
    assert done.code == 130
    assert "interrupted" in done.err


def test_sigterm_is_an_interrupt() -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        group._make_sigterm_an_interrupt()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_reader_that_leaves_early_sees_no_complaint() -> None:
    command = f"{sys.executable} -m dslc sample conv_net -n 20000 -q | head -n 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1


def test_a_seed_is_said_and_repeats() -> None:
    first, again, other = (
        run("sample", "conv_net", "-n", "3", *seed) for seed in ((), ("--seed", "0"), ("--seed", "1"))
    )
    assert first.out == again.out != other.out
    assert "seed 0" in first.err
    assert "seed 1" in other.err
    assert run("sample", "conv_net", "--quiet").err == ""


def test_no_colour_off_a_terminal() -> None:
    done = run_process("info", "conv_net", FORCE_COLOR="")
    assert "\x1b" not in done.out + done.err
    assert all(len(line) <= 80 for line in done.out.splitlines())


def test_completion_of_commands_and_grammars() -> None:
    done = run_process(_DSLC_COMPLETE="bash_complete", COMP_WORDS="dslc inf", COMP_CWORD="1")
    assert done.out.split() == ["plain,info"]
    done = run_process(_DSLC_COMPLETE="bash_complete", COMP_WORDS="dslc info conv", COMP_CWORD="2")
    assert "plain,conv_net" in done.out.split()


def test_a_deep_document_is_written() -> None:
    document: list[object] = []
    for _ in range(20000):
        document = [document, "a"]
    assert document_text(document).count('"a"') == 20000
    assert document_text({"a": {"b": [1, None, "é\n"]}}) == '{"a": {"b": [1, null, "é\\n"]}}'
