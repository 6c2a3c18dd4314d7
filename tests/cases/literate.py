"""Literate cases: what a page of this folder holds, and what each stage prints.

A page is Markdown. Each `## title` is a case: some words, one grammar in a ```lark block, then blocks of what the
stages make of it. The first line of such a block names a printer and what it is given, for example ```text tree a,b.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import dslc
from dslc.cli.parse import outline_tree
from dslc.describe import describe_space
from dslc.diagnostics import DslcError
from dslc.space import Space

BLOCK = re.compile(r"^```(\w+)(?: (\w+)(?: ([^\n]*))?)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """An expectation: a printer, what it is given, and what it should print."""

    printer: str
    given: str
    expected: str
    place: tuple[int, int]
    """Where the expected text begins and ends on the page."""


@dataclass(frozen=True, slots=True)
class Case:
    """A grammar and what becomes of it."""

    title: str
    grammar: str
    blocks: tuple[Block, ...]


def read_cases(page: str) -> tuple[Case, ...]:
    """The cases of a page."""
    heads = list(re.finditer(r"^## (.+)$", page, re.MULTILINE))
    ends = [*(head.start() for head in heads[1:]), len(page)]
    cases = []
    for head, end in zip(heads, ends, strict=True):
        found = list(BLOCK.finditer(page, head.end(), end))
        grammars = [match[4] for match in found if match[1] == "lark"]
        assert len(grammars) == 1, f"{head[1]}: one grammar a case"
        blocks = tuple(Block(m[2], m[3] or "", m[4], m.span(4)) for m in found if m[1] != "lark")
        assert blocks, f"{head[1]}: something is expected"
        cases.append(Case(head[1], grammars[0], blocks))
    return tuple(cases)


def print_block(case: Case, block: Block) -> str:
    """What the printer of a block makes of its case."""
    if block.printer == "error":
        return _print_error(case.grammar)
    return PRINTERS[block.printer](dslc.compile_text(case.grammar, name="case.lark"), block.given).rstrip() + "\n"


def refresh_page(path: Path) -> None:
    """Write what is printed now in place of what a page expects."""
    page = path.read_text()
    blocks = [(block.place, print_block(case, block)) for case in read_cases(page) for block in case.blocks]
    for (begin, end), text in reversed(blocks):
        page = page[:begin] + text + page[end:]
    path.write_text(page)


def _print_error(grammar: str) -> str:
    try:
        dslc.compile_text(grammar, name="case.lark")
    except DslcError as error:
        return f"{error}\n"
    return "no error\n"


def _labels(space: Space, tokens: tuple[int, ...]) -> str:
    return " ".join(space.vocabulary[token].label for token in tokens)


def _print_allowed(space: Space, given: str) -> str:
    id_of = {token.label: token.id for token in space.vocabulary}
    return _labels(space, space.allowed([id_of[label] for label in given.split()])) or "the sentence is finished"


def _print_kinds(space: Space, given: str) -> str:
    assert not given
    return "\n".join(f"{rule['name']}: {rule['kind']}" for rule in describe_space(space)["rules"])


def _print_vocabulary(space: Space, given: str) -> str:
    assert not given
    return "\n".join(f"{token.id} {token.label} ({token.kind.value})" for token in space.vocabulary)


def _print_slots(space: Space, given: str) -> str:
    assert not given
    return "\n".join(
        f"{choice['slot']}: {_labels(space, tuple(choice['tokens']))}" for choice in describe_space(space)["choices"]
    )


def _print_counts(space: Space, given: str) -> str:
    assert not given
    lines = [f"{length} tokens: {count}" for length, count in enumerate(space.counts()) if count]
    return "\n".join([*lines, f"in all: {space.count()} {space.count_unit}"])


def _print_sentences(space: Space, given: str) -> str:
    return "\n".join(f"{i}: {space[i].text}" for i in range(min(int(given), space.count())))


def _print_info(space: Space, given: str) -> str:
    document = describe_space(space)
    return json.dumps({key: document[key] for key in given.split()}, indent=2)


PRINTERS: Mapping[str, Callable[[Space, str], str]] = {
    "grammar": lambda space, _: str(space.compilation.grammar),
    "bnf": lambda space, _: str(space.compilation.bnf),
    "trimmed": lambda space, _: str(space.lowering.bnf),
    "kinds": _print_kinds,
    "vocabulary": _print_vocabulary,
    "slots": _print_slots,
    "info": _print_info,
    "allowed": _print_allowed,
    "counts": _print_counts,
    "sentences": _print_sentences,
    "tokens": lambda space, given: _labels(space, space.parse(given).tokens),
    "tree": lambda space, given: outline_tree(space.parse(given).tree),
    "graph": lambda space, given: str(space.parse(given).graph),
    "source": lambda space, given: str(space.parse(given).source),
}
"""What a block can ask for."""
