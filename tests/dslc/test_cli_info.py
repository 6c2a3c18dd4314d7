"""`dslc info`."""

from pathlib import Path

import pytest

from dslc.cli.info import count_text
from dslc.grammars import grammar_names, grammar_text
from tests.dslc.command_line import run


@pytest.mark.parametrize(
    ("arguments", "total"),
    [
        (("rnn_cell",), 8**15 * 8 * 15 * 15),
        (("rnn_cell", "--start", "base_2"), 36_864),
        (("optimizer", "--start", "update_once"), 249_696),
        (("conv_net",), 576**3),
    ],
)
def test_exact_totals(arguments: tuple[str, ...], total: int) -> None:
    document = run("info", *arguments, "--json").document
    assert document["count"]["total"] == str(total)
    assert sum(int(row["count"]) for row in document["count"]["by_tokens"]) == total
    assert document["claimed"]["holds"] is True


def test_the_total_is_counted_not_claimed(tmp_path: Path) -> None:
    path = tmp_path / "rnn_cell.lark"
    path.write_text(grammar_text("rnn_cell").replace('"identity" | "tanh"', '"identity" | "sin" | "tanh"'))
    document = run("info", path, "--json").document
    assert document["count"]["total"] == str(10**15 * 10 * 15 * 15)
    assert document["claimed"]["holds"] is False
    assert [d["severity"] for d in document["diagnostics"]] == ["error"]
    assert "DOES NOT HOLD" in run("info", path).out


@pytest.mark.parametrize("name", grammar_names())
def test_every_shipped_grammar(name: str) -> None:
    document = run("info", name, "--json").document
    assert document["count"]["unit"] == "sentences"
    assert document["language"]["ambiguous"] == "no"
    assert [token["id"] for token in document["vocabulary"]] == list(range(len(document["vocabulary"])))
    assert {rule["kind"] for rule in document["rules"]} <= {"spliced", "fused", "list", "alternative"}
    assert len(document["choices"]) == document["slots"]
    low, high = document["min_tokens"], document["max_tokens"]
    if any(constraint["kind"] == "threaded" for constraint in document["constraints"]):
        assert document["start_policy"]["expected_tokens"] is None  # nodes are counted, and there are no exact figures
    else:
        assert low <= document["start_policy"]["expected_tokens"] <= high
        assert document["start_policy"]["kl_to_uniform"] >= 0
    text = run("info", name).out
    assert count_text(document["count"]["total"]) in " ".join(text.split())
    assert all(len(line) <= 80 for line in text.splitlines())


@pytest.mark.parametrize(
    ("text", "finite", "regular", "ambiguous", "decisions"),
    [
        ('start: A A\nA: "1" | "2"\n', True, True, "no", 1.0),
        ('start: "(" start ")" | "x"\n', False, False, "no", 1.0),
        ('start: start A | A\nA: "1" | "2"\n', False, True, "no", None),
        ('start: start start | "a"\n', False, False, "yes", None),
    ],
)
def test_language_facts(
    text: str, finite: bool, regular: bool, ambiguous: str, decisions: float | None, tmp_path: Path
) -> None:
    path = tmp_path / "a.lark"
    path.write_text(text)
    document = run("info", path, "--json", "--max-tokens", "9").document
    language = document["language"]
    assert (language["finite"], language["regular"], language["ambiguous"]) == (finite, regular, ambiguous)
    assert (language["witness"] is None) == (ambiguous != "yes")
    assert (document["count"]["unit"] == "sentences") == (ambiguous == "no")
    if decisions is not None:
        assert document["decisions_per_terminal"] == decisions


def test_quiet_shows_the_facts_only() -> None:
    text = run("info", "conv_net", "--quiet").out
    assert "191,102,976" in text
    assert "Choices" not in text


def test_the_faster_device_is_told() -> None:
    batch = run("info", "conv_net", "--json").document["gpu"]["from_batch"]
    assert f"a CPU samples faster than a GPU in batches of less than about {batch:,} sentences" in " ".join(
        run("info", "conv_net").out.split()
    )


def test_an_infeasible_budget_names_the_smallest() -> None:
    done = run("info", "conv_net", "--max-tokens", "14")
    assert done.code == 1
    assert "15" in done.err


def test_an_unknown_start_names_the_known() -> None:
    done = run("info", "conv_net", "--start", "layers_7")
    assert done.code == 1
    assert "layers_6" in done.err


def test_the_table_that_stands_in_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where projecting is too much work, or the space counts, the start is the local table, and `info` says so."""

    def table(*arguments: str) -> str:
        document = run("info", *arguments, "--json").document
        text = run("info", *arguments).out
        named = str(document["start_policy"]["table"])
        assert f"{named} table" in text
        return named

    assert table("expression") == table("conv_net") == "projected"
    assert table("expression", "--start-table", "local") == "local"
    counting = tmp_path / "counting.lark"
    counting.write_text('//! max_tokens 9\n//! at_most 2 a\nstart: (a | "b")*\na: "x" | "y"\n')
    assert table(str(counting)) == "local"
    monkeypatch.setattr("dslc.automaton.projection.MAX_FLOW_STEPS", 100)
    assert table("expression") == "local"
