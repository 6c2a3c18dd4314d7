"""The heads of anchors and pointers: written formulas, sampling against scoring, gradients, states."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import dslc
from dslc.automaton.heads import PointerTokens, find_heads_fault
from dslc.controller import PRESETS, RecurrentPolicy, join_steps, replay, sample_rollout, score_rollout
from dslc.controller.policy import FEATURES
from dslc.diagnostics import Code, DslcError
from tests.controller.small_spaces import LISTS, MENUS, TREES, list_sentences, make_policy, make_space

Array = NDArray[np.float64]

SKIPS = """
//! anchor SKIP: layer
start: layer SKIP layer SKIP~2 layer
layer: WIDTH
WIDTH: "24" | "36"
SKIP: "1" | "0"
"""
"""Three layers, and for each a decision about every earlier one, as in Zoph and Le (2017)."""

OPEN = """
//! anchor SKIP: layer
//! at_most 3 layer
start: layer (SKIP+ layer)*
layer: KIND | KIND "(" start ")" -> inner
KIND: "k" | "l"
SKIP: "no" | "yes"
"""
"""Any number of decisions, one slot with the stop of a list, layers in layers."""

TWO = """
//! anchor SKIP: layer
//! anchor SAME: block
start: block (SAME block)~1..2
block: layer SKIP~0..2 layer
layer: "x" | "y" SKIP
SKIP: "0" | "1"
SAME: "same" | "new"
"""
"""Two anchors about different rules; a decision can stand in what the next one asks about."""

REFERRING = """
//! ref INPUT: block after 2
//! ref FROM: pair
//! anchor KEEP: block
start: item+
item: block KEEP | pair -> two
block: INPUT OP | "(" INPUT INPUT ")"
pair: "<" block ("," FROM ">" | ">")
INPUT: "0" | "1" | "2" | "3" | "4"
FROM: "0" | "1"
OP: "m" | "s"
KEEP: "yes" | "no"
"""
"""Two references and an anchor; nodes of both rules stand in one another and before one another."""

SIZES = {SKIPS: 6, OPEN: 7, TWO: 9, REFERRING: 8}
KINDS = list(product(SIZES, ["small", "zoph2017"]))

CELL = """
//! ref INPUT: block after 2
start: block block block
block: INPUT OP
INPUT: "0" | "1" | "2" | "3"
OP: "max" | "sum"
"""
"""Blocks that read one of two inputs or of the blocks before."""


def sentences_of(text: str) -> list[tuple[int, ...]]:
    return list_sentences(make_space(text, SIZES[text]))


def shaken(text: str, preset: str = "small", seed: int = 0) -> RecurrentPolicy:
    """A policy over a text whose weights are all moved by noise, so that nothing is zero."""
    return shake(make_policy(make_space(text, SIZES[text]), preset, seed=seed), seed)


def shake(policy: RecurrentPolicy, seed: int = 0) -> RecurrentPolicy:
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for weights in policy.parameters():
            weights.add_(torch.randn(weights.shape, generator=generator), alpha=0.5)
    return policy


def pointing_policy(preset: str = "zoph2017") -> RecurrentPolicy:
    """A policy over CELL, whose INPUT tokens point, moved by noise."""
    policy = make_policy(make_space(CELL), preset)
    assert policy.automaton.heads is not None
    assert policy.automaton.heads.pointers == (PointerTokens("INPUT", 0, 2, (0, 1, 2, 3), (0, 1, 2, 3)),)
    return shake(policy)


# --- written formulas, in numpy ---------------------------------------------------------------------------------------


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def hidden_states(policy: RecurrentPolicy, inputs: Array) -> Array:
    """States of the upper layer [time, hidden] of one sequence: the equations of an LSTM, gates in torch's order."""
    weights = {name: weight.double().numpy() for name, weight in policy.state_dict().items()}
    automaton, preset = policy.automaton, policy.preset
    width = automaton.num_tokens + 1
    offsets = dict(zip(FEATURES, (0, width, width + automaton.num_slots, 2 * width + automaton.num_slots), strict=True))
    size, layers = preset.hidden_size, range(preset.num_layers)
    hidden, cell = [np.zeros(size) for _ in layers], [np.zeros(size) for _ in layers]
    states = []
    for time, features in enumerate(inputs.astype(int)):
        value = weights["position"][min(time, len(weights["position"]) - 1)]
        for feature, number in zip(FEATURES, features, strict=True):
            if feature in preset.inputs:
                value = value + weights["embedding"][offsets[feature] + number]
        for layer in layers:
            gates = (
                weights[f"lstm.weight_ih_l{layer}"] @ value
                + weights[f"lstm.bias_ih_l{layer}"]
                + weights[f"lstm.weight_hh_l{layer}"] @ hidden[layer]
                + weights[f"lstm.bias_hh_l{layer}"]
            )
            into, keep, new, out = np.split(gates, 4)
            cell[layer] = sigmoid(keep) * cell[layer] + sigmoid(into) * np.tanh(new)
            value = hidden[layer] = sigmoid(out) * np.tanh(cell[layer])
        states.append(value)
    return np.array(states)


@pytest.mark.parametrize("preset", ["small", "zoph2017"])
def test_anchors_have_the_written_probability(preset: str) -> None:
    """P(layer j is an input of layer i) = sigmoid(v . tanh(W_prev h_j + W_curr h_i)), Zoph and Le (2017)."""
    policy = shaken(SKIPS, preset)
    sentences = list_sentences(make_space(SKIPS))
    steps = replay(policy, sentences)
    with torch.no_grad():
        probabilities = score_rollout(policy, steps).log_probs.exp().numpy()
    weights = {name: weight.double().numpy() for name, weight in policy.state_dict().items()}
    w_prev, w_curr, v = (weights[f"heads.SKIP.{name}"] for name in ("item", "now", "score"))
    yes = next(token.id for token in policy.automaton.vocabulary if token.label == "SKIP.1")
    # Tokens: layer 1, skip, layer 2, two skips, layer 3. A layer's state is that of the step behind its last token.
    asked = {1: 1, 3: 1, 4: 3}
    for sentence, inputs, found in list(zip(sentences, steps.inputs.numpy(), probabilities, strict=True))[::7]:
        states = hidden_states(policy, inputs)
        for time, item in asked.items():
            expected = sigmoid(v @ np.tanh(w_prev @ states[item] + w_curr @ states[time]))
            expected = expected if sentence[time] == yes else 1 - expected
            assert found[time] == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("preset", ["small", "zoph2017"])
def test_pointers_have_the_written_probability(preset: str) -> None:
    """The logit of literal k is v . tanh(W_item h_k + W_now h), a learned vector in h_k's place for an input."""
    policy = pointing_policy(preset)
    steps = sample_rollout(policy, 40, torch.Generator().manual_seed(3)).steps
    with torch.no_grad():
        probabilities = score_rollout(policy, steps).log_probs.exp().numpy()
    weights = {name: weight.double().numpy() for name, weight in policy.state_dict().items()}
    w_item, w_now, v, learned = (weights[f"heads.INPUT.{name}"] for name in ("item", "now", "score", "inputs"))
    first = policy.automaton.vocabulary[0]
    assert first.label == "INPUT.0"
    for sentence, inputs, found in zip(steps.token_tuples(), steps.inputs.numpy(), probabilities, strict=True):
        states = hidden_states(policy, inputs)
        for time, items in ((0, ()), (2, (states[2],)), (4, (states[2], states[4]))):
            named = [*learned, *items]
            logits = np.array([v @ np.tanh(w_item @ item + w_now @ states[time]) for item in named])
            expected = np.exp(logits) / np.exp(logits).sum()
            assert found[time] == pytest.approx(expected[sentence[time]], rel=1e-4, abs=1e-6)


# --- sampling, scoring, replaying -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "preset"), KINDS)
def test_sampling_scoring_and_replaying_give_equal_figures(text: str, preset: str) -> None:
    policy = shaken(text, preset)
    space = make_space(text, SIZES[text])
    rollout = sample_rollout(policy, 120, torch.Generator().manual_seed(1))
    with torch.no_grad():
        score = score_rollout(policy, rollout.steps)
        replayed = score_rollout(policy, replay(policy, rollout.steps.token_tuples()))
        totals = score_rollout(policy, replay(policy, list_sentences(space))).log_probs.double().sum(1)
    for other in (score, replayed):
        torch.testing.assert_close(other.log_probs, rollout.log_probs, rtol=0, atol=2e-5)
        torch.testing.assert_close(other.entropies, rollout.entropies, rtol=0, atol=2e-5)
    assert totals.exp().sum().item() == pytest.approx(1.0, abs=1e-5)


def test_pointers_sample_as_they_score() -> None:
    policy = pointing_policy("small")
    rollout = sample_rollout(policy, 100, torch.Generator().manual_seed(1))
    with torch.no_grad():
        score = score_rollout(policy, rollout.steps)
        replayed = score_rollout(policy, replay(policy, rollout.steps.token_tuples()))
    for other in (score, replayed):
        torch.testing.assert_close(other.log_probs, rollout.log_probs, rtol=0, atol=2e-5)


def test_literals_name_what_is_finished() -> None:
    """The mask allows those literals whose node the policy has seen the end of, no others."""
    space = make_space(REFERRING, 30)
    policy = shake(make_policy(space))
    heads = space.lowering.automaton.heads
    assert heads is not None
    assert [(each.terminal, heads.marks.rules[each.rule]) for each in heads.pointers] == [
        ("INPUT", "block"),
        ("FROM", "pair"),
    ]
    steps = sample_rollout(policy, 400, torch.Generator().manual_seed(7)).steps
    assert steps.allowed is not None
    assert steps.finished is not None
    seen = set()
    for pointer in heads.pointers:
        finished, allowed = steps.finished[..., pointer.rule], steps.allowed[..., list(pointer.tokens)]
        named = torch.tensor(pointer.targets) < pointer.num_inputs + finished[..., None]
        assert not bool((allowed & ~named).any())
        chosen = torch.isin(steps.tokens, torch.tensor(pointer.tokens)) & steps.is_token
        seen |= {(pointer.terminal, number) for number in finished[chosen].tolist()}
        assert bool((allowed.sum(-1)[chosen] == named.sum(-1)[chosen]).all())
    assert len(seen) > 4


@pytest.mark.gpu
def test_heads_on_a_gpu() -> None:
    space = make_space(OPEN, SIZES[OPEN])
    policy, twin = shake(make_policy(space)), make_policy(space, device="cuda")
    twin.load_state_dict(policy.state_dict())
    rollout = sample_rollout(twin, 200, torch.Generator("cuda").manual_seed(0))
    with torch.no_grad():
        score = score_rollout(twin, rollout.steps)
        other = score_rollout(policy, replay(policy, rollout.steps.token_tuples()))
    torch.testing.assert_close(score.log_probs, rollout.log_probs, rtol=0, atol=1e-4)
    torch.testing.assert_close(score.log_probs.cpu(), other.log_probs, rtol=0, atol=1e-4)


@pytest.mark.parametrize("text", SIZES)
def test_joined_batches_score_as_they_do_alone(text: str) -> None:
    policy = shaken(text)
    sentences = sorted(list_sentences(make_space(text, SIZES[text])), key=len)
    first, second = replay(policy, sentences[:60]), replay(policy, sentences[-4:])
    joined = join_steps(first, second, policy.automaton.pad_id)
    assert joined.finished is not None
    assert bool((joined.finished.diff(dim=1) >= 0).all()), "nothing is unfinished again behind the end"
    with torch.no_grad():
        alone = torch.cat([score_rollout(policy, steps).log_probs.sum(1) for steps in (first, second)])
        together = score_rollout(policy, joined).log_probs.sum(1)
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


def test_divergence_uses_the_heads_of_both() -> None:
    policy, reference = shaken(OPEN), shaken(OPEN, seed=5)
    steps = replay(policy, list_sentences(make_space(OPEN, SIZES[OPEN])))
    with torch.no_grad():
        score, other = score_rollout(policy, steps, reference), score_rollout(reference, steps)
    assert score.divergences is not None
    weights = score.log_probs.sum(1).exp()
    whole = (weights * (score.log_probs - other.log_probs).sum(1)).sum()
    torch.testing.assert_close((weights * score.divergences.sum(1)).sum(), whole, rtol=1e-3, atol=1e-4)


def test_a_fresh_policy_is_what_the_table_says() -> None:
    space = make_space(OPEN, SIZES[OPEN])
    plain = OPEN.replace("//! anchor", "// anchor")
    policy, without = make_policy(space), make_policy(make_space(plain, SIZES[OPEN]))
    sentences = list_sentences(space)
    with torch.no_grad():
        found, expected = (score_rollout(each, replay(each, sentences)).log_probs for each in (policy, without))
    assert found.equal(expected)


def test_an_item_that_is_not_finished_counts_as_zero() -> None:
    """A decision past the last finished node is about nothing: its probability is sigmoid(v . tanh(W_curr h_i))."""
    text = '//! anchor SKIP: layer\nstart: SKIP layer SKIP~2\nlayer: A\nA: "a" | "b"\nSKIP: "0" | "1"\n'
    policy = shake(make_policy(make_space(text), "zoph2017"))
    head = policy.heads.head("SKIP")
    sentence = (2, 0, 2, 3)
    assert [policy.automaton.vocabulary[token].label for token in sentence] == ["SKIP.0", "A.a", "SKIP.0", "SKIP.1"]
    steps = replay(policy, [sentence])
    states = torch.from_numpy(hidden_states(policy, steps.inputs[0].numpy())).float()
    with torch.no_grad():
        found = score_rollout(policy, steps).log_probs[0]
        alone = torch.tanh(states @ head.now.t()) @ head.score
        about = torch.tanh(states[2] @ head.item.t() + states[2] @ head.now.t()) @ head.score
    expected = torch.stack((-alone[0], -about, alone[3]))
    torch.testing.assert_close(found[[0, 2, 3]], torch.nn.functional.logsigmoid(expected), rtol=1e-4, atol=1e-5)


def test_huge_scores_are_never_nan() -> None:
    for policy in (shaken(OPEN), pointing_policy("small")):
        with torch.no_grad():
            for head in policy.heads.values():
                for weights in head.parameters():
                    weights.mul_(1e6)
        rollout = sample_rollout(policy, 50, torch.Generator().manual_seed(0))
        score = score_rollout(policy, rollout.steps)
        score.log_probs.sum().backward()  # type: ignore[no-untyped-call]
        assert all(bool(values.isfinite().all()) for values in (rollout.log_probs, score.log_probs, score.entropies))
        assert all(bool(w.grad.isfinite().all()) for w in policy.parameters() if w.grad is not None)


# --- weights ----------------------------------------------------------------------------------------------------------


def test_gradients_reach_every_weight_and_are_those_of_differences() -> None:
    for policy in (shaken(OPEN), pointing_policy("small")):
        steps = sample_rollout(policy, 30, torch.Generator().manual_seed(0)).steps
        policy.double()
        loss = score_rollout(policy, steps).log_probs.sum()
        loss.backward()  # type: ignore[no-untyped-call]
        for name, head in policy.heads.items():
            for part, weights in head.named_parameters():
                assert weights.grad is not None
                assert weights.grad.abs().sum() > 0, (name, part)
                flat, slope = weights.data.view(-1), weights.grad.view(-1)
                index = int(slope.abs().argmax())
                values = []
                with torch.no_grad():
                    for move in (1e-5, -2e-5, 1e-5):
                        flat[index] += move
                        values.append(score_rollout(policy, steps).log_probs.sum().item())
                assert (values[0] - values[1]) / 2e-5 == pytest.approx(slope[index].item(), rel=1e-4)


def test_states_round_trip() -> None:
    policy, other = shaken(TWO), make_policy(make_space(TWO, SIZES[TWO]), seed=9)
    assert [name for name in policy.state_dict() if name.startswith("heads")] == [
        f"heads.{terminal}.{part}" for terminal in ("SKIP", "SAME") for part in ("item", "now", "score")
    ]
    other.load_state_dict(policy.state_dict())
    one, two = (sample_rollout(each, 30, torch.Generator().manual_seed(2)) for each in (policy, other))
    assert one.tokens.equal(two.tokens)
    assert one.log_probs.equal(two.log_probs)


@pytest.mark.parametrize("text", [MENUS, TREES, LISTS])
def test_spaces_without_heads_have_what_they_had(text: str) -> None:
    policy = make_policy(make_space(text, 7))
    names = {"embedding", "position", "output.weight", "output.bias"}
    names |= {f"lstm.{kind}_{place}_l0" for kind in ("weight", "bias") for place in ("ih", "hh")}
    assert set(policy.state_dict()) == names
    steps = sample_rollout(policy, 5, torch.Generator().manual_seed(0)).steps
    assert steps.finished is None
    assert replay(policy, steps.token_tuples()).finished is None


def test_heads_change_no_other_weight() -> None:
    with_heads, without = (
        make_policy(make_space(text, SIZES[OPEN]), "zoph2017") for text in (OPEN, OPEN.replace("//! anchor", "// "))
    )
    for name, weight in without.state_dict().items():
        assert with_heads.state_dict()[name].equal(weight), name
    limit = PRESETS["zoph2017"].weight_range
    for weight in with_heads.heads.parameters():
        assert 0.5 * limit < weight.abs().max() <= limit


# --- which tokens have heads ------------------------------------------------------------------------------------------


def test_yes_is_the_larger_number_or_what_is_written_first() -> None:
    for literals, yes in (
        ('"1" | "0"', "1"),
        ('"0" | "1"', "1"),
        ('"skip" | "none"', "skip"),
        ('"no" | "yes"', "no"),
    ):
        space = make_space(f'//! anchor S: p\nstart: p S p\np: "x" | "y"\nS: {literals}\n')
        assert space.lowering.automaton.heads is not None
        (anchor,) = space.lowering.automaton.heads.anchors
        assert space.vocabulary[anchor.yes].label == f"S.{yes}"
        assert {space.vocabulary[anchor.no].text, yes} == {each.strip(' "') for each in literals.split("|")}


def test_a_start_without_the_terminal_has_no_heads() -> None:
    text = '//! start start plain\n//! anchor S: p\nstart: plain S p\nplain: p p\np: "x" | "y"\nS: "0" | "1"\n'
    assert dslc.compile_text(text).lowering.automaton.heads is not None
    assert dslc.compile_text(text, start="plain").lowering.automaton.heads is None


def test_a_rule_that_trees_show_sometimes_is_refused() -> None:
    text = '//! anchor S: p\nstart: p S p\n?p: A* | "(" p p ")"\nA: "x" | "y"\nS: "0" | "1"\n'
    with pytest.raises(DslcError) as caught:
        dslc.compile_text(text, max_tokens=9)
    assert [each.code for each in caught.value.diagnostics] == [Code.CONSTRAINT_UNDECIDED]
    assert "`anchor S: p`" in caught.value.diagnostics[0].message


def test_inlined_nodes_do_not_count() -> None:
    text = '//! anchor S: p\nstart: p S p\n?p: A | B B\nA: "x" | "y"\nB: "v" | "w"\nS: "0" | "1"\n'
    policy = make_policy(make_space(text))
    labels = [token.label for token in policy.automaton.vocabulary]
    inlined = tuple(map(labels.index, ("A.x", "S.0", "A.x")))
    shown = tuple(map(labels.index, ("B.v", "B.w", "S.0", "A.x")))
    steps = replay(policy, [inlined, shown])
    assert steps.finished is not None
    assert steps.finished[:, :, 0].tolist() == [[0, 0, 0, 0], [0, 0, 1, 1]]


def test_saved_spaces_carry_the_heads(tmp_path: Path) -> None:
    space = make_space(TWO, SIZES[TWO])
    loaded = dslc.load(space.save(tmp_path / "space.dslc"))
    assert loaded.compilation.grammar.pragmas.anchors == space.compilation.grammar.pragmas.anchors
    heads, other = space.lowering.automaton.heads, loaded.lowering.automaton.heads
    assert heads is not None
    assert other is not None
    assert other.anchors == heads.anchors
    policy, twin = make_policy(space, shake=0.3), make_policy(loaded, shake=0.3)
    one, two = (sample_rollout(each, 30, torch.Generator().manual_seed(2)) for each in (policy, twin))
    assert one.tokens.equal(two.tokens)
    assert dslc.load(tmp_path / "space.dslc", max_tokens=12).lowering.automaton.heads is not None


def test_tables_that_do_not_fit_are_told() -> None:
    heads = make_space(SKIPS).lowering.automaton.heads
    assert heads is not None
    num_tokens = 4
    assert find_heads_fault(heads, num_tokens) is None
    marks, (anchor,) = heads.marks, heads.anchors
    wrong = [
        replace(heads, marks=replace(marks, run=marks.run + 100)),
        replace(heads, marks=replace(marks, next=marks.next + 1)),
        replace(heads, marks=replace(marks, slot_base=marks.slot_base - 1)),
        replace(heads, marks=replace(marks, lead=marks.lead[:, :0])),
        replace(heads, marks=replace(marks, behind=marks.behind - 5)),
        replace(heads, marks=replace(marks, start_position=99)),
        replace(heads, anchors=(replace(anchor, rule=1),)),
        replace(heads, anchors=(replace(anchor, yes=num_tokens),)),
        replace(heads, pointers=(PointerTokens("P", 0, 1, (0, 1), (0,)),)),
    ]
    faults = [find_heads_fault(each, num_tokens) for each in wrong]
    assert None not in faults
    assert len(set(faults)) > 5
