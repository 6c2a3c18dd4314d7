"""Hypothesis strategies: small random grammars as text.

Texts, not objects, so that an oracle can read them without any code of dslc. Every drawn text is read by dslc without
errors; its start rule may still derive nothing unless `productive` asks for more.
"""

from __future__ import annotations

from hypothesis import assume
from hypothesis import strategies as st
from lark.exceptions import GrammarError
from lark.load_grammar import load_grammar

_LITERALS = ("a", "b", "c", "d", "ab", "e")
_RULES = ("start", "p", "q", "r")


@st.composite
def grammar_texts(
    draw: st.DrawFn,
    *,
    max_rules: int = 4,
    ebnf: bool = False,
    decorated: bool = False,
    distinct: bool = False,
    productive: bool = True,
    blank: bool | None = None,
) -> str:
    """A grammar of 1 to `max_rules` rules over 1 to 3 terminals of 1 to 3 literals each.

    Left recursion, empty alternatives, unit cycles and ambiguity all come up; rules may be unreachable or never end.

    Args:
        draw: Given by Hypothesis.
        max_rules: Most rules, at most 4.
        ebnf: Also `?`, `*`, `+`, `~`, brackets and groups.
        decorated: Also aliases, `?rule`, `!rule`, `_rule`, `_TERMINAL` and strings written in rules.
        distinct: No literal in two terminals.
        productive: The start rule has an alternative of terminals only, so that it derives a text.
        blank: Ignore blanks; None draws it.
    """
    names = list(_RULES[: draw(st.integers(1, max_rules))])
    if decorated:
        names[1:] = [f"_{name}" if draw(st.integers(0, 4)) == 0 else name for name in names[1:]]
    terminals = draw(_terminals(distinct=distinct, decorated=decorated))
    atoms = [*names, *terminals, *terminals]
    if decorated:
        atoms += ['"x"', '"y"', '"("']
    lines = []
    for name in names:
        alternatives: dict[str, str | None] = {}
        for _ in range(draw(st.integers(1, 3))):
            text = draw(_sequences(atoms, ebnf=ebnf))
            may_have_alias = decorated and not name.startswith("_") and text not in alternatives
            alias = draw(st.sampled_from([None, "left", "right"])) if may_have_alias else None
            alternatives.setdefault(text, alias)
        if productive and name == "start":
            alternatives.setdefault(draw(st.sampled_from(sorted(terminals))), None)
        written = [f"{text} -> {alias}".strip() if alias else text for text, alias in alternatives.items()]
        marks = draw(st.sampled_from(["", "", "?", "!", "!?"])) if decorated else ""
        if name.startswith("_"):
            marks = marks.replace("?", "")
        # An empty alternative at the end of a line is written as a bar with nothing after it.
        lines.append(f"{marks}{name}: " + " | ".join(written))
    lines += [f"{name}: " + " | ".join(f'"{literal}"' for literal in literals) for name, literals in terminals.items()]
    if draw(st.booleans()) if blank is None else blank:
        lines.append('%ignore " "')
    text = "\n".join(line.rstrip() for line in lines) + "\n"
    if ebnf:
        assume(_loads(text, names))
    return text


def _loads(text: str, starts: list[str]) -> bool:
    """Whether lark takes a grammar; it refuses brackets and optionals of which two ways leave the same symbols."""
    try:
        load_grammar(text, "<string>", [], False)[0].compile(starts, "*")  # type: ignore[no-untyped-call]
    except GrammarError:
        return False
    return True


@st.composite
def _terminals(draw: st.DrawFn, *, distinct: bool, decorated: bool) -> dict[str, list[str]]:
    pool = list(_LITERALS)
    terminals: dict[str, list[str]] = {}
    for name in ("A", "B", "C")[: draw(st.integers(1, 3))]:
        literals = draw(st.lists(st.sampled_from(pool), min_size=1, max_size=min(3, len(pool)), unique=True))
        # A terminal equal to another is another name for it, which a string written in a rule cannot tell.
        if any(sorted(literals) == sorted(other) for other in terminals.values()):
            continue
        if distinct:
            pool = [literal for literal in pool if literal not in literals] or ["f"]
        terminals[f"_{name}" if decorated and draw(st.integers(0, 4)) == 0 else name] = literals
    return terminals


def _sequences(atoms: list[str], *, ebnf: bool) -> st.SearchStrategy[str]:
    items: st.SearchStrategy[str] = st.sampled_from(atoms)
    if ebnf:
        items = st.one_of(items, items, _operated(atoms))
    return st.lists(items, max_size=3).map(" ".join)


@st.composite
def _operated(draw: st.DrawFn, atoms: list[str]) -> str:
    atom = st.sampled_from(atoms)
    pair = st.lists(atom, min_size=1, max_size=2).map(" ".join)
    operand = draw(st.one_of(atom, pair.map("({})".format), st.tuples(pair, pair).map("({0[0]} | {0[1]})".format)))
    kind = draw(st.sampled_from(["?", "*", "+", "~2", "~0..2", "~1..2", "[]", "[|]", "()"]))
    if kind == "[]":
        return f"[{draw(pair)}]"
    if kind == "[|]":
        return f"[{draw(pair)} | {draw(pair)}]"
    if kind == "()":
        return operand
    return operand + kind
