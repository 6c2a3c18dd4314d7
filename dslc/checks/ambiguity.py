"""Ambiguity, reported with one text and both of its trees."""

from __future__ import annotations

from collections.abc import Iterator

from dslc.diagnostics import Code, Diagnostic, Severity
from dslc.language.ambiguity import Answer, draw_witness
from dslc.space import Space


def check_ambiguity(space: Space) -> Iterator[Diagnostic]:
    """A warning if some sentence has two trees, a note if that could not be decided."""
    ambiguity = space.ambiguity
    trimmed, texts = space.compilation.facts.trimmed, space.lowering.constraining.texts
    rule = trimmed.rule_by_name[space.start]
    if ambiguity.answer is Answer.YES and ambiguity.witness is not None:
        yield Diagnostic(
            Code.AMBIGUOUS_GRAMMAR,
            Severity.WARNING,
            f"`{space.start}` is ambiguous: `{ambiguity.witness.text}` has two trees",
            span=rule.span,
            help="counts and sampling are over derivations; remove one of the two ways to have one tree a sentence",
            notes=(draw_witness(trimmed if texts is None else texts.grammar, ambiguity.witness),),
        )
    elif ambiguity.answer is Answer.UNKNOWN:
        yield Diagnostic(
            Code.AMBIGUOUS_GRAMMAR,
            Severity.NOTE,
            f"whether `{space.start}` is ambiguous could not be decided",
            span=rule.span,
            help="counts are over derivations; brackets or a keyword in front of alternatives make a proof easier",
        )
