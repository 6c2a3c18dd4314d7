"""A text to its derivation under constraints, or which of them forbids it."""

from __future__ import annotations

from dslc.automaton.constrain import Constraining
from dslc.automaton.fault import describe_fault, find_fault
from dslc.automaton.parse_text import ParseResult, build_derivation, build_result, find_parser, parse_text
from dslc.automaton.totals import Totals
from dslc.diagnostics import DslcError
from dslc.language.counted_readings import Counting, find_counted_reading
from dslc.language.earley import Chart
from dslc.language.forest import Readings, extract_readings
from dslc.language.reading import Reading, Scan
from dslc.language.split_grammar import unsplit_reading
from dslc.language.witness import Witness


def parse_constrained(constraining: Constraining, text: str) -> ParseResult:
    """As `parse_text`, with the derivations that obey the constraints.

    Raises:
        DslcError: DSLC304 if the text is no sentence without the constraints either; DSLC305 with the first place that
        a constraint forbids, and the constraint.
    """
    bnf, start = constraining.trimmed, constraining.start
    if not constraining.constraints:
        return parse_text(bnf, start, text)
    chart = _parse(constraining, text)
    result = None if chart is None else _find_result(constraining, chart)
    if result is None:
        # Without the constraints it is no sentence either, and that is said; or they are what is wrong with it.
        plain = parse_text(bnf, start, text)
        raise DslcError(describe_fault(constraining, plain.derivation, plain.starts, text))
    return result


def _parse(constraining: Constraining, text: str) -> Chart | None:
    """The chart of all trees that the inherited constraints allow; None if there are none."""
    texts = constraining.texts
    if texts is None:
        chart = find_parser(constraining.trimmed, constraining.start).parse(text)
    elif texts.facts is None:
        return None
    else:
        chart = find_parser(texts.grammar, texts.start).parse(text)
    return chart if chart.ends else None


def _find_result(constraining: Constraining, chart: Chart) -> ParseResult | None:
    readings = extract_readings(chart)
    second = None if readings.second is None else _unsplit(constraining, readings.second)
    readings = Readings(_unsplit(constraining, readings.first), second)
    totals = constraining.totals
    if totals is None:
        return build_result(constraining.trimmed, readings)
    if not readings.is_ambiguous:
        result = build_result(constraining.trimmed, readings)
        return result if find_fault(constraining, result.derivation) is None else None
    found = find_counted_reading(chart, _count(constraining, totals))
    if found is None:
        return None
    first = _unsplit(constraining, found[0])
    starts = tuple(step.start for step in first if isinstance(step, Scan))
    return ParseResult(build_derivation(constraining.trimmed, first), found[1], None, starts)


def is_witness(constraining: Constraining, witness: Witness) -> bool:
    """Whether both trees of an ambiguous text obey the constraints."""
    trees = [
        build_derivation(constraining.trimmed, _unsplit(constraining, reading))
        for reading in (witness.first, witness.second)
    ]
    return all(find_fault(constraining, tree) is None for tree in trees)


def _unsplit(constraining: Constraining, reading: Reading) -> Reading:
    return reading if constraining.texts is None else unsplit_reading(constraining.texts, reading)


def _count(constraining: Constraining, totals: Totals) -> Counting:
    texts, terminals, stages = constraining.texts, constraining.trimmed.terminal_by_name, totals.stages

    def find_written(rule: str, production: int) -> tuple[str, int]:
        if texts is None:
            return rule, production
        return texts.rule_names[rule], texts.grammar.rule_by_name[rule].productions[production].choice

    def of_begin(rule: str, production: int) -> tuple[int, ...]:
        return stages.read(stages.of_begin(*find_written(rule, production)))

    def of_production(rule: str, production: int) -> list[int]:
        rule, production = find_written(rule, production)
        return totals.list_gains(totals.of_node(rule, production), stages.of_node(rule, production))

    def of_literal(terminal: str, literal: int) -> list[int]:
        if texts is not None:
            terminal, left = texts.terminals[terminal]
            literal = left[literal]
        text = terminals[terminal].literals[literal].text
        return totals.list_gains(totals.of_literal(terminal, text), stages.of_literal(terminal, text))

    return Counting(totals.add, totals.num_stages, totals.accepts, of_begin, of_production, of_literal)
