"""`dslc info`: what a grammar describes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import click

from dslc.automaton.starting import StartingKind
from dslc.automaton.tuning import read_shares
from dslc.cli.options import examples, space_options, start_table_options, terminal_options
from dslc.cli.terminal import Terminal
from dslc.describe import describe_space
from dslc.program.draw.figure import show_text
from dslc.space import compile as compile_space

_SHOWN_LENGTHS = 12
_SHOWN_TOKENS = 24


@click.command(
    "info",
    short_help="Show what a grammar describes.",
    epilog=examples(
        "dslc info conv_net",
        "dslc info rnn_cell --start base_2 --json",
        "dslc info expression --target-length 12 --target-share add=0.2",
    ),
)
@space_options
@start_table_options
@terminal_options
def command(
    terminal: Terminal,
    grammar: str,
    start: str | None,
    max_tokens: int | None,
    start_table: StartingKind,
    target_length: float | None,
    target_shares: str,
) -> None:
    """Show what a grammar describes: size, vocabulary, rules, ambiguity, where a fresh policy starts.

    Counts are exact. Nothing that the file contains is executed.
    """
    document = describe_space(
        compile_space(grammar, start=start, max_tokens=max_tokens),
        start_table=start_table,
        target_length=target_length,
        target_shares=read_shares(target_shares),
    )
    if not terminal.is_json:
        terminal.show_table(_make_view(document, is_quiet=terminal.is_quiet))
    terminal.show_document(document)


def _make_view(document: dict[str, Any], *, is_quiet: bool) -> Any:
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    facts = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    facts.add_column(style="bold")
    facts.add_column(overflow="fold")
    for name, value in _facts(document):
        facts.add_row(name, value)
    parts: list[Any] = [facts]
    if is_quiet:
        return facts
    for title, headers, rows in (_choices(document), _rules(document), _lengths(document)):
        table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", pad_edge=False)
        for header in headers:
            is_number = header in ("tokens", "line", "sentences", "derivations", "share")
            table.add_column(header, justify="right" if is_number else "left", overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        parts += [Text(""), table]
    return Group(*parts)


def _facts(document: dict[str, Any]) -> list[tuple[str, str]]:
    language, count, policy = document["language"], document["count"], document["start_policy"]
    others = [start for start in document["starts"] if start != document["start"]]
    low, high = document["min_tokens"], document["max_tokens"]
    ambiguous = {"no": "no, proved", "yes": "yes", "unknown": "not decided"}[language["ambiguous"]]
    if language["witness"]:
        ambiguous += f": {language['witness']['text']!r} has two trees"
    facts = [
        (
            "grammar",
            f"{document['file']}, start {document['start']}" + (f" (others: {', '.join(others)})" if others else ""),
        ),
        ("target", document["target"] or "none: text and tree only"),
        ("size", f"{count_text(count['total'])} {count['unit']}" + _claim_text(document["claimed"])),
        ("tokens", f"{low} a sentence" if low == high else f"{low} to {high} a sentence"),
        ("language", ("finite" if language["finite"] else "recursive") + (", regular" if language["regular"] else "")),
        ("ambiguous", ambiguous),
    ]
    if document["decisions_per_terminal"] is not None:
        facts.append(("decisions", f"{document['decisions_per_terminal']:.3g} for each word that is chosen"))
    populations = document["populations"]
    how = "can be evaluated as arrays, thousands at once"
    facts.append(("populations", how if populations["arrays"] else f"one by one: {populations['reason']}"))
    batch = document["gpu"]["from_batch"]
    facts.append(("device", f"a CPU samples faster than a GPU in batches of less than about {batch:,} sentences"))
    counts_nodes = any(constraint["kind"] == "threaded" for constraint in document["constraints"])
    facts.append(("fresh policy", _describe_start(policy, counts_nodes=counts_nodes)))
    if document["constraints"]:
        lines = [f"{each['pragma']} {each['text']} (line {each['line']})" for each in document["constraints"]]
        unfused = list(dict.fromkeys(name for each in document["constraints"] for name in each["unfused"]))
        because = f"; no list because of them: {', '.join(unfused)}" if unfused else ""
        facts.append(("constraints", ", ".join(lines) + because))
    for each in document["anchors"]:
        facts.append(
            (
                "anchor",
                f"{each['terminal']} asks about {each['rule']}, {show_text(each['yes'])} is yes (line {each['line']})",
            )
        )
    return facts


def _describe_start(policy: dict[str, Any], *, counts_nodes: bool) -> str:
    if policy["expected_tokens"] is None:
        figures = "no exact figures where nodes are counted" if counts_nodes else "too large for exact figures"
    else:
        figures = (
            f"{policy['expected_tokens']:.4g} tokens expected, {policy['kl_to_uniform']:.3g} nats from uniform,"
            f" {policy['kl_to_even']:.3g} from even lengths"
        )
    shares = "".join(f", {share:.3g} of them {name}" for name, share in policy["shares"].items())
    return f"{policy['table']} table, {figures}{shares} (equal logits: criticality {policy['criticality']:.3g})"


def count_text(digits: str) -> str:
    """An exact count for people: grouped while short, else with its power of ten.

    Example:
        >>> count_text("191102976"), count_text("63331869759897600")
        ('191,102,976', '63,331,869,759,897,600 (6.33e16)')
        >>> count_text("1" + "0" * 40)
        '1.00e40 (41 digits)'
    """
    if len(digits) <= 12:
        return f"{int(digits):,}"
    # Decimal, since a count may be past what a float holds.
    short = f"{Decimal(digits):.2e}".replace("e+", "e")
    return f"{int(digits):,} ({short})" if len(digits) <= 27 else f"{short} ({len(digits)} digits)"


def _claim_text(claim: dict[str, Any] | None) -> str:
    if claim is None:
        return ""
    place = f" at {claim['at_tokens']} tokens" if claim["at_tokens"] is not None else ""
    return f"; the file claims {claim['size']}{place}, which {'holds' if claim['holds'] else 'DOES NOT HOLD'}"


def _choices(document: dict[str, Any]) -> tuple[str, list[str], list[list[str]]]:
    """Slots with their tokens: literals as texts, others as labels."""
    vocabulary = document["vocabulary"]
    rows = []
    for choice in document["choices"]:
        tokens = [vocabulary[token] for token in choice["tokens"]]
        texts = [show_text(token["text"]) if token["kind"] == "literal" else token["label"] for token in tokens]
        more = len(texts) - _SHOWN_TOKENS
        rows.append(
            [
                choice["slot"],
                str(len(texts)),
                "  ".join(texts[:_SHOWN_TOKENS]) + (f"  … {more} more" if more > 0 else ""),
            ]
        )
    return f"Choices: {len(vocabulary)} tokens in {document['slots']} slots", ["slot", "tokens", "one of"], rows


def _rules(document: dict[str, Any]) -> tuple[str, list[str], list[list[str]]]:
    meanings = {
        "spliced": "no choice",
        "fused": "its choice and its first token are one decision",
        "list": "items, with a decision to stop",
        "alternative": "a decision of its own",
    }
    rows = [[str(rule["line"] or ""), rule["name"], rule["kind"], meanings[rule["kind"]]] for rule in document["rules"]]
    return "Rules", ["line", "rule", "kind", "that is"], rows


def _lengths(document: dict[str, Any]) -> tuple[str, list[str], list[list[str]]]:
    counts = document["count"]["by_tokens"]
    total = int(document["count"]["total"])
    rows = [
        [str(row["tokens"]), count_text(row["count"]), f"{_percent(int(row['count']), total)}"]
        for row in (
            counts
            if len(counts) <= _SHOWN_LENGTHS
            else [*counts[: _SHOWN_LENGTHS // 2], *counts[-_SHOWN_LENGTHS // 2 :]]
        )
    ]
    if len(counts) > _SHOWN_LENGTHS:
        rows.insert(_SHOWN_LENGTHS // 2, ["…", f"{len(counts) - _SHOWN_LENGTHS} more lengths", ""])
    return "By length", ["tokens", document["count"]["unit"], "share"], rows


def _percent(part: int, whole: int) -> str:
    share = float(Decimal(part) / Decimal(whole)) if whole else 0.0
    return "< 0.01%" if 0 < share < 0.0001 else f"{share:.2%}"
