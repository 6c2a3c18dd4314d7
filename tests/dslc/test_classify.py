"""What becomes of rules: kinds, first tokens, lists, names of tokens."""

from __future__ import annotations

from dslc.automaton.classification import Classification, RuleKind
from dslc.automaton.tables import TokenKind
from tests.dslc.random_grammars import lower_text

SPLICED, FUSED, LIST, ALTERNATIVE = RuleKind.SPLICED, RuleKind.FUSED, RuleKind.LIST, RuleKind.ALTERNATIVE


def classify(text: str) -> Classification:
    return lower_text(text, 64)[1].classification


def kinds(text: str) -> dict[str, RuleKind]:
    return {name: kind for name, kind in classify(text).kind_by_rule.items() if not name.startswith("__")}


def labels(text: str) -> list[str]:
    return [token.label for token in classify(text).vocabulary]


def test_kinds_of_an_arithmetic_grammar() -> None:
    text = (
        'start: sum\nsum: sum "+" product | product\nproduct: product "*" atom | atom\n'
        'atom: N | "(" sum ")"\nN: "1" | "2"\n'
    )
    assert kinds(text) == {"start": SPLICED, "sum": LIST, "product": LIST, "atom": FUSED}


def test_alternatives_that_begin_alike_are_labelled() -> None:
    assert kinds('start: A B | A\nA: "a"\nB: "b"\n') == {"start": ALTERNATIVE}
    assert labels('start: A B | A\nA: "a"\nB: "b"\n') == ["<start#0>", "<start#1>"]


def test_a_stop_is_not_fused_further() -> None:
    text = 'start: p | B\np: A | \nA: "a" | "c"\nB: "b" | "d"\n'
    assert kinds(text) == {"start": ALTERNATIVE, "p": FUSED}
    assert labels(text)[-3:] == ["<stop p>", "<start#0>", "<start#1>"]


def test_fusion_passes_through_spliced_and_fused_rules() -> None:
    text = 'start: q | C\nq: p\np: A | B "x"\nA: "a"\nB: "b" | "c"\nC: "d" | "e"\n'
    assert kinds(text) == {"start": FUSED, "q": SPLICED, "p": FUSED}
    assert labels(text) == ["A.a", "B.b", "B.c", "C.d", "C.e"]


def test_two_empty_alternatives_are_labelled() -> None:
    assert kinds('start: p | q | A\np:\nq:\nA: "a"\n') == {"start": ALTERNATIVE, "p": SPLICED, "q": SPLICED}


def test_unit_cycles_are_labelled() -> None:
    assert kinds('start: a\na: b\nb: a | "x"\n') == {"start": SPLICED, "a": SPLICED, "b": ALTERNATIVE}


def test_lists_are_direct_left_recursion_and_one_right_form() -> None:
    assert kinds('start: start A | B\nA: "a"\nB: "b"\n') == {"start": LIST}
    assert kinds('start: start A | start | B |\nA: "a"\nB: "b"\n') == {"start": LIST}
    assert kinds('start: A B "," start | A B\nA: "a"\nB: "b"\n') == {"start": LIST}
    assert kinds('start: A | A start\nA: "a"\n') == {"start": LIST}


def test_what_is_no_list() -> None:
    for text in (
        'start: start "+" start | A\nA: "a"\n',  # the rule once more
        'start: A start start | A\nA: "a"\n',
        'start: A "," start | B\nA: "a"\nB: "b"\n',  # another item at the end
        'start: A "," start | A | B\nA: "a"\nB: "b"\n',  # a third alternative
        'start: A start |\nA: "a"\n',  # no item at the end: an ordinary rule, fused
    ):
        assert kinds(text)["start"] in (ALTERNATIVE, FUSED), text


def test_alternatives_are_counted_after_those_without_end_are_dropped() -> None:
    text = 'start: a\na: dead | B\ndead: "(" dead ")"\nB: "b"\n'
    assert kinds(text) == {"start": SPLICED, "a": SPLICED}


def test_copies_of_a_repetition_share_their_tokens() -> None:
    assert labels('start: A~1..9\nA: "a"\n') == ["A.a", "<stop A~1..9>"]
    # An item that begins like another labels its alternatives, once for all copies.
    text = 'start: p~1..9\np: A B | A C\nA: "a"\nB: "b"\nC: "c"\n'
    assert labels(text) == ["<p~1..9#0>", "<p~1..9#1>", "<p#0>", "<p#1>"]


def test_labels_are_unique() -> None:
    text = 'start: (A)* B (A)* B\nA: "a"\nB: "b"\n'
    found = labels(text)
    assert len(set(found)) == len(found)
    assert sum(label.startswith("<stop") for label in found) == 2


def test_the_vocabulary_has_literals_then_stops_then_alternatives() -> None:
    text = 'start: p* q\np: A\nq: "x" A | "x" B\nA: "a" | "c"\nB: "b" | "d"\n'
    found = [token.kind for token in classify(text).vocabulary]
    order = [TokenKind.LITERAL, TokenKind.STOP, TokenKind.ALTERNATIVE]
    assert found == sorted(found, key=order.index)
    assert set(found) == set(order)


def test_anonymous_terminals_are_quoted() -> None:
    assert labels('start: "sin" | "(" start ")"\n') == ['"sin"', '"("']


def test_terminals_with_one_text_may_share_it_with_others() -> None:
    text = 'start: K S\nK: "3" | "5"\nS: "3" | "5"\n'
    assert labels(text) == ["K.3", "K.5", "S.3", "S.5"]
