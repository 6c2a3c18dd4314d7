"""Drawings of automata: every slot and token, what choices leave open, and where a sentence begins and ends."""

from xml.etree import ElementTree

import pytest

from dslc.automaton.scalar import Stack, advance_state, allowed_tokens, start_state
from dslc.automaton.tables import TokenKind
from dslc.grammars import grammar_names
from dslc.program.draw.automaton import MOST_TOKENS, draw_automaton
from dslc.space import Space, compile, compile_text

SVG = "{http://www.w3.org/2000/svg}"


def depth_of(stack: Stack) -> int:
    depth = 0
    while stack:
        _, stack = stack
        depth += 1
    return depth


def names_of(space: Space) -> list[str]:
    return [box.name for box in draw_automaton(space.lowering.automaton).figure.boxes]


@pytest.mark.parametrize("name", grammar_names())
def test_every_slot_and_token_is_drawn(name: str) -> None:
    space = compile(name)
    figure = draw_automaton(space.lowering.automaton, name).figure
    assert len(figure.boxes) == space.lowering.automaton.num_slots + 2
    root = ElementTree.fromstring(space.draw("automaton").svg)
    texts = {"".join(element.itertext()) for element in root.iter(f"{SVG}text")}
    literals = {token.text for token in space.vocabulary if token.kind is TokenKind.LITERAL}
    assert literals <= texts
    assert max(float(root.attrib["width"]), float(root.attrib["height"])) < 1600


@pytest.mark.parametrize("name", grammar_names())
def test_sentences_walk_along_the_arrows(name: str) -> None:
    """From one token's slot to the next there is an arrow, unless a run ends there and an earlier one goes on."""
    space = compile(name)
    automaton = space.lowering.automaton
    arrows = {(arrow.tail, arrow.head) for arrow in draw_automaton(automaton).figure.arrows}
    for seed in range(5):
        state = start_state(automaton, space.max_tokens)
        before, depth = 0, 0
        for token in space.sample(seed=seed, lengths="even").tokens:
            assert token in allowed_tokens(automaton, state)
            slot = int(automaton.slot[state.top]) + 1
            now = depth_of(state.stack)
            assert (before, slot) in arrows or now < depth
            before, depth = slot, now
            state = advance_state(automaton, state, token)


def test_what_a_choice_opens() -> None:
    space = compile("expression")
    figure = draw_automaton(space.lowering.automaton).figure
    start, expression, end = figure.boxes
    assert (start.name, start.lines, end.name) == ("start", ("expression",), "end")
    assert [(len(block.cells), block.line) for block in expression.blocks] == [
        (4, "then expression, expression"), (4, "then expression"), (1, "then nothing more"),
    ]  # fmt: skip
    assert [(arrow.tail, arrow.head, arrow.is_dashed) for arrow in figure.arrows] == [
        (0, 1, False), (1, 1, False), (1, 1, True), (1, 2, True),
    ]  # fmt: skip


def test_repeated_slots_are_counted() -> None:
    figure = draw_automaton(compile("rnn_cell").lowering.automaton).figure
    assert figure.boxes[0].lines == ("16 × (COMBINATION, ACTIVATION), MEMORY_FROM, MEMORY_INTO",)


def test_long_menus_are_cut() -> None:
    literals = " | ".join(f'"n{i}"' for i in range(100))
    space = compile_text(f"start: N N\nN: {literals}")
    (block,) = draw_automaton(space.lowering.automaton).figure.boxes[1].blocks
    assert len(block.cells) == MOST_TOKENS
    assert block.cells[-1].value == f"… {100 - MOST_TOKENS + 1} more"


def test_slots_of_one_name_are_numbered() -> None:
    names = names_of(compile("activation_fourier"))
    assert [name for name in names if "harmonic" in name] == [f"harmonic~1..5 #{i}" for i in range(1, 5)]


def tokens_of(text: str) -> set[str]:
    boxes = draw_automaton(compile_text(text, max_tokens=6).lowering.automaton).figure.boxes
    return {cell.value for box in boxes for block in box.blocks for cell in block.cells}


def test_stops_and_labelled_alternatives() -> None:
    assert tokens_of('start: A*\nA: "0" | "1"') == {"0", "1", "stop"}
    assert tokens_of('start: x x\nx: "a" "b" | "a" "c"') == {"#0", "#1"}


def test_a_space_of_one_sentence() -> None:
    assert names_of(compile_text('start: "a" "b"')) == ["start", "end"]
    assert "end" in compile_text('start: "a"').draw("automaton").svg


def test_need_is_named() -> None:
    space = compile_text('start: y N\ny: "p" N N | "q" N N\nN: "1"|"2"')
    notes = [box.note for box in draw_automaton(space.lowering.automaton).figure.boxes]
    assert "at least 3 tokens" in notes
