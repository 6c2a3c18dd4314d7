"""Mutated grammar files: each compiles or ends in diagnostics, and the masks of those that compile are right."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import dslc
from dslc.diagnostics import DslcError
from dslc.language.grammar import RuleUse

SEEDS = (
    'start: A+\nA: "x" | "y"\n',
    '//! max_tokens 7\nstart: expr\n?expr: expr "+" term -> add | term\n'
    '?term: NUMBER | "(" expr ")"\nNUMBER: "1" | "2"\n%ignore " "\n',
    '//! start start other\nstart: item ("," item)~0..3\nitem: KEY ["=" VALUE]\nother: item*\n'
    'KEY: /[a-c]{1,2}/\nVALUE: "0".."2"\n',
    'start: _list | "e" -> end\n_list: (A | B)? start\n!last: "k"i B~2\nA: "a" "b"? | C\nB: C C\nC: /[pq]/\n',
    '//! target generic(x)\n//! op twice(v) = 2 * v\nstart: "f" start -> twice | X\n'
    'X: "x"\n// a comment\n%ignore " "\n',
    '//! size 4\n%import common.DIGIT\nstart: DIGIT SIGN | SIGN\nSIGN: "+" | "-"\n',
)
PIECES = (
    *'()[]|?*+~:"/\\.,-> \n\0\t{}^$#@!%_',
    *('"x"', "start", "A", "~2", "~0..2", "~9999999999", "->", "/[a-z]/", "/a*/", '"i"i', "[A]", "(A)", "{A}", ".1"),
    *("%ignore", "%import", "%declare", "%override", "%extend", "common.", "..", "?", "!", "_a"),
    *("\\u0041", "\\x", "é", "\u2028", "\ufeff", "\U0001f600", "\r\n"),
    *("//!", "//! max_tokens 3", "//! forbid a inside b", "//! op f(x) = x", "//! size 1e9"),
)
BUDGET = 5
MAX_SENTENCES = 200
"""Spaces with more sentences within the budget are not compared."""
HANG_SECONDS = 20.0
"""CPU time after which one file counts as a hang."""


def mutate(generator: random.Random) -> str:
    """A grammar file that was written well before 1 to 4 changes."""
    text = generator.choice(SEEDS)
    for _ in range(generator.choice((1, 1, 1, 2, 4))):
        place, end = sorted(generator.randint(0, len(text)) for _ in range(2))
        match generator.randrange(6):
            case 0:
                text = text[:place] + generator.choice(PIECES) + text[place:]
            case 1:
                text = text[:place] + text[place + 1 :]
            case 2:
                text = text[:place] + text[place : min(end, place + 12)] + text[place:]
            case 3:
                text = text[:place] + text[min(end, place + 12) :]
            case 4:
                lines = text.split("\n")
                generator.shuffle(lines)
                text = "\n".join(lines)
            case _:
                other = generator.choice(SEEDS).split("\n")
                text = text[:place] + generator.choice(other) + text[place:]
    return text


def fuzz_grammars(count: int, seed: int) -> Counter[str]:
    """What became of `count` mutated files; AssertionError with the text of one that is not as it must be."""
    generator = random.Random(seed)
    found: Counter[str] = Counter()
    with _hangs_raise():
        for number in range(count):
            text = mutate(generator)
            signal.setitimer(signal.ITIMER_VIRTUAL, HANG_SECONDS)
            try:
                _try_text(text, found)
            except Exception as error:
                raise AssertionError(
                    f"file {number} of seed {seed}: {type(error).__name__}: {error}\n{text!r}"
                ) from error
    return found


def _try_text(text: str, found: Counter[str]) -> None:
    try:
        space = dslc.compile_text(text)
        # A budget that most of these can be compared under.
        space = dslc.compile_text(text, max_tokens=max(BUDGET, space.min_tokens))
    except DslcError as error:
        str(error)  # rendering it must not fail either
        found["refused"] += 1
        return
    found["compiled"] += 1
    if space.count() <= MAX_SENTENCES:
        found["compared"] += compare_masks(space)


def compare_masks(space: dslc.Space) -> bool:
    """Whether there are few enough texts to compare; AssertionError if the masks do not lead to exactly those."""
    sentences: list[tuple[int, ...]] = []
    pending: list[tuple[int, ...]] = [()]
    while pending:  # every prefix that the mask allows
        prefix = pending.pop()
        allowed = space.allowed(prefix)
        if not allowed:
            sentences.append(prefix)
        pending += [(*prefix, token) for token in allowed]
    assert len(sentences) == space.count(), "the masks lead to as many sentences as are counted"
    rendered = {space.decode(tokens).text for tokens in sentences}
    most = max(len(text) for text in rendered)
    texts = _texts(space, most)
    if texts is None:
        return False
    assert rendered <= texts, f"no sentences of the grammar: {sorted(rendered - texts)[:3]}"
    for other in sorted(texts - rendered)[:20]:
        assert _is_over_budget(space, other), f"the masks do not lead to {other!r}"
    return True


def _is_over_budget(space: dslc.Space, text: str) -> bool:
    try:
        space.parse(text)
    except DslcError as error:
        return error.diagnostics[0].code is dslc.Code.SENTENCE_OVER_BUDGET
    return False


def _texts(space: dslc.Space, most: int) -> set[str] | None:
    """All texts of at most `most` characters, by fixpoint over the rules; None past a number of them."""
    bnf = space.lowering.bnf
    words = {t.name: {(literal.text,) for literal in t.literals} for t in bnf.terminals}
    found: dict[str, set[tuple[str, ...]]] = {rule.name: set() for rule in bnf.rules}
    changed = True
    while changed:
        changed = False
        for rule in bnf.rules:
            for production in rule.productions:
                rows: set[tuple[str, ...]] = {()}
                for symbol in production.symbols:
                    parts = found[symbol.name] if isinstance(symbol, RuleUse) else words[symbol.name]
                    rows = {row + part for row in rows for part in parts if len("".join(row + part)) <= most}
                    if len(rows) > 2000:
                        return None
                if not rows <= found[rule.name]:
                    found[rule.name] |= rows
                    changed = True
    return {text for row in found[space.start] if len(text := bnf.joiner.join(row)) <= most}


@contextmanager
def _hangs_raise() -> Iterator[None]:
    def hang(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a handler
        raise TimeoutError(f"more than {HANG_SECONDS} s")

    before = signal.signal(signal.SIGVTALRM, hang)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def soak_fuzz(count: int) -> str:
    """`count` files drawn by a seed of the moment; the line for docs/soak.md."""
    seed = int(time.time())
    print(f"seed {seed}", flush=True)
    found = fuzz_grammars(count, seed)
    return (
        f"{count} files of seed {seed}: {found['refused']:,} refused, {found['compiled']:,} compiled, "
        f"{found['compared']:,} with all masks compared; no traceback, hang or difference"
    )
