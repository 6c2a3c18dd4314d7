"""The order of the stages, once: a grammar file to a token automaton."""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from dslc.automaton.constrain import constrain_grammar
from dslc.automaton.longest import longest_sentence
from dslc.automaton.lower import Lowering, lower_grammar
from dslc.automaton.mark_nodes import Reference, make_heads
from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.grammars import grammar_names, grammar_text
from dslc.language.analyze import Facts, analyze_grammar
from dslc.language.constraints import ConstraintKind
from dslc.language.grammar import BnfGrammar, Grammar
from dslc.language.normalize import normalize_grammar
from dslc.language.read_file import read_file
from dslc.source import SourceFile

MAX_DEFAULT_BUDGET = 1024
"""Largest budget that a grammar without cycles gets by itself: its longest sentence, at most this many tokens."""
DEFAULT_BUDGET = 64
"""Budget of a grammar with cycles that states none."""


@dataclass(frozen=True)
class Compilation:
    """What each stage made of one grammar file and one start."""

    grammar: Grammar
    bnf: BnfGrammar
    facts: Facts
    lowering: Lowering
    max_tokens: int
    """The budget: the most tokens in a sentence."""
    diagnostics: tuple[Diagnostic, ...]
    """Warnings and notes of the stages."""

    @property
    def start(self) -> str:
        """The start symbol."""
        return self.facts.start


def find_grammar(path: str | Path) -> SourceFile:
    """The grammar file at `path`, or the shipped grammar of that bare name where no such file exists.

    Raises:
        DslcError: DSLC101 if there is neither.
    """
    if Path(path).exists():
        return read_file(Path(path))
    name = str(path)
    if name in grammar_names():
        return SourceFile(f"{name}.lark", grammar_text(name))
    near = get_close_matches(name.removesuffix(".lark"), grammar_names(), n=1)
    raise DslcError(
        Diagnostic(
            Code.FILE_NOT_FOUND,
            Severity.ERROR,
            f"no file and no shipped grammar is named `{name}`",
            help=(f"did you mean the shipped grammar `{near[0]}`? " if near else "")
            + f"shipped are: {', '.join(grammar_names())}",
        )
    )


def compile_grammar(file: SourceFile, *, start: str | None = None, max_tokens: int | None = None) -> Compilation:
    """Every stage on one file; `start` and `max_tokens` are by default the file's first start and its budget.

    Raises:
        DslcError: with everything that the failing stage found wrong.
    """
    # Only this stage needs lark: a saved space is used where it is not installed.
    from dslc.language.read import read_grammar

    grammar, diagnostics = read_grammar(file)
    return compile_start(grammar, diagnostics, start=start, max_tokens=max_tokens)


def compile_start(
    grammar: Grammar,
    diagnostics: tuple[Diagnostic, ...] = (),
    *,
    start: str | None = None,
    max_tokens: int | None = None,
) -> Compilation:
    """The stages after reading, so that several starts of one file are compiled without reading it again."""
    start = start or grammar.pragmas.starts[0]
    _check_start(grammar, start)
    bnf = normalize_grammar(grammar)
    facts = analyze_grammar(bnf, start)
    constraints = grammar.pragmas.constraints
    budget = max_tokens if max_tokens is not None else grammar.pragmas.max_tokens
    if constraints:
        texts = constrain_grammar(facts, constraints).texts
        if texts is not None and texts.facts is not None:  # a limited depth leaves a finite language
            facts = replace(facts, is_finite=texts.facts.is_finite)
    if budget is not None:
        try:
            lowering = _lower(grammar, facts, budget)
        except DslcError as error:
            if max_tokens is not None:
                raise
            raise DslcError(_at_budget_line(grammar, each) for each in error.diagnostics) from None
        return Compilation(grammar, bnf, facts, lowering, budget, diagnostics)
    if not facts.is_finite:
        note = Diagnostic(
            Code.DEFAULT_BUDGET,
            Severity.NOTE,
            f"`{start}` is recursive and no budget is given: sentences have at most {DEFAULT_BUDGET} tokens",
            span=facts.trimmed.rule_by_name[start].span,
            help="add a line such as `//! max_tokens 40`, or give --max-tokens",
        )
        lowering = _lower(grammar, facts, DEFAULT_BUDGET)
        return Compilation(grammar, bnf, facts, lowering, DEFAULT_BUDGET, (*diagnostics, note))
    lowering = _lower(grammar, facts, MAX_DEFAULT_BUDGET)
    longest = longest_sentence(lowering.automaton)
    return Compilation(grammar, bnf, facts, lowering, min(longest, MAX_DEFAULT_BUDGET), diagnostics)


def _lower(grammar: Grammar, facts: Facts, max_budget: int) -> Lowering:
    """The automaton, with the heads that a policy has over it."""
    lowering = lower_grammar(facts, max_budget=max_budget, constraints=grammar.pragmas.constraints)
    pragmas = grammar.pragmas
    references = [
        Reference(each.subject.name, each.outer.name, each.number)
        for each in pragmas.constraints
        if each.kind is ConstraintKind.REF and each.outer is not None
    ]
    if not pragmas.anchors and not references:
        return lowering
    heads = make_heads(lowering, pragmas.anchors, references)
    return replace(lowering, automaton=replace(lowering.automaton, heads=heads))


def _at_budget_line(grammar: Grammar, diagnostic: Diagnostic) -> Diagnostic:
    """A budget that is too small, with the place where the file states it."""
    if diagnostic.code is not Code.BUDGET_TOO_SMALL or diagnostic.span is not None:
        return diagnostic
    return replace(diagnostic, span=grammar.pragmas.spans.get("max_tokens"))


def _check_start(grammar: Grammar, start: str) -> None:
    names = [rule.name for rule in grammar.rules]
    if start in names:
        return
    near = get_close_matches(start, names, n=1)
    raise DslcError(
        Diagnostic(
            Code.UNKNOWN_START,
            Severity.ERROR,
            f"the grammar has no rule `{start}` to start from",
            span=grammar.file.span(0),
            help=(f"did you mean `{near[0]}`? " if near else "")
            + f"starts of this file: {', '.join(grammar.pragmas.starts)}",
        )
    )
