"""What a space, its samples and a parsed sentence are, as the JSON documents that every program may rely on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib.metadata import version
from typing import Any

from dslc.automaton.lower import NO_CHOICE
from dslc.automaton.starting import StartingKind, criticality
from dslc.automaton.tables import Token, TokenKind
from dslc.automaton.tuning import expected_share, find_tokens
from dslc.automaton.uniform import uniform_log_prob
from dslc.checks import CHECKS
from dslc.checks.sizes import claim_holds, claimed_count, size_claims
from dslc.diagnostics import DslcError, render_json
from dslc.language.anchor_names import yes_literal
from dslc.language.self_embedding import find_self_embedding
from dslc.program.tree import Leaf, ParseTree
from dslc.space import Lengths, Program, Space

GPU_FROM_BATCH = 500
"""Sentences a batch from which a GPU samples faster than one core of a CPU, about: docs/performance.md has the
measurement. Below it a step waits for the GPU to be told what to do, however few sentences there are."""

_SAMPLES_FOR_DECISIONS = 64
"""Uniform sentences over which the decisions a rendered terminal are averaged."""


def describe_space(
    space: Space,
    *,
    start_table: StartingKind = "projected",
    target_length: float | None = None,
    target_shares: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """The document dslc.info/1: vocabulary, slots, kinds of rules, ambiguity, exact counts, where a policy starts.

    The start is that of `Space.starting_table` with the same arguments; `start_policy` has `kl_to_even`, nats to even
    lengths, `table`, which one is used, and `shares` of the named tokens beside the keys of the format.

    Beside the keys of the format: `choices`, the tokens of each slot; `anchors`, which decisions ask about which nodes;
    `populations`, whether many programs are evaluated at once as arrays, or why not; `gpu`, the sentences of a batch
    from which a GPU samples faster than a core of a CPU does; `decisions_per_terminal`, how many tokens are sampled for
    one rendered terminal that is not forced, the mean of 64 uniform sentences, None where none renders one.

    Example:
        >>> import dslc
        >>> describe_space(dslc.compile("conv_net"))["count"]["total"]
        '191102976'
    """
    lowering, counts = space.lowering, space.counts()
    pragmas = space.compilation.grammar.pragmas
    ambiguity = space.ambiguity
    table = space.starting_table(start_table, target_length=target_length, target_shares=target_shares)
    claims = [
        {
            "size": claim.text,
            "at_tokens": claim.at_tokens,
            "holds": claim_holds(claim.text, claimed_count(space, claim)),
        }
        for claim in size_claims(space)
    ]
    diagnostics = (*space.diagnostics, *(found for run_check in CHECKS for found in run_check(space)))
    return {
        "format": "dslc.info/1",
        "dslc": version("dslc"),
        "file": space.file.name,
        "sha256": _sha256(space),
        "start": space.start,
        "starts": list(pragmas.starts),
        "target": space.target,
        "min_tokens": space.min_tokens,
        "max_tokens": space.max_tokens,
        "vocabulary": [_describe_token(token) for token in space.vocabulary],
        "slots": lowering.automaton.num_slots,
        "choices": _describe_choices(space),
        "rules": _describe_rules(space),
        "decisions_per_terminal": _decisions_per_terminal(space),
        "language": {
            "finite": space.compilation.facts.is_finite,
            "regular": not find_self_embedding(lowering.bnf),
            "ambiguous": ambiguity.answer.value,
            "witness": None if ambiguity.witness is None else {"text": ambiguity.witness.text},
        },
        "count": {
            "unit": space.count_unit,
            "total": str(space.count()),
            "by_tokens": [{"tokens": tokens, "count": str(count)} for tokens, count in enumerate(counts) if count],
        },
        "claimed": claims[0] if claims else None,
        "start_policy": {
            "expected_tokens": table.expected_tokens,
            "criticality": criticality(lowering.automaton),
            "kl_to_uniform": table.kl_to_uniform,
            "kl_to_even": table.kl_to_even,
            "table": table.kind,
            "shares": {
                name: expected_share(table, find_tokens(lowering.automaton, name)) for name in target_shares or {}
            },
        },
        "constraints": _describe_constraints(space),
        "anchors": _describe_anchors(space),
        "populations": _describe_populations(space),
        "gpu": {"from_batch": GPU_FROM_BATCH},
        "diagnostics": render_json(diagnostics, [space.file.name])["diagnostics"],
    }


def describe_samples(
    space: Space,
    programs: Sequence[Program],
    *,
    seed: int,
    lengths: Lengths = "uniform",
    log_probs: Sequence[float | None] | None = None,
) -> dict[str, Any]:
    """The document dslc.sample/1 of uniform samples; with `log_probs`, in nats, of samples from a policy."""
    counts = space.exact_counts()
    if log_probs is None:
        numbers: Sequence[float | None] = [uniform_log_prob(counts, program.tokens, lengths) for program in programs]
    else:
        numbers = log_probs
    return {
        "format": "dslc.sample/1",
        "file": space.file.name,
        "sha256": _sha256(space),
        "start": space.start,
        "max_tokens": space.max_tokens,
        "sampler": "uniform" if log_probs is None else "policy",
        "lengths": lengths if log_probs is None else None,
        "seed": seed,
        "samples": [
            {
                "text": program.text,
                "tokens": list(program.tokens),
                "index": str(space.index(program.tokens)),
                "log_prob": log_prob,
            }
            for program, log_prob in zip(programs, numbers, strict=True)
        ],
    }


def describe_program(program: Program, *, is_ambiguous: bool) -> dict[str, Any]:
    """The document dslc.parse/1; columns are those of the rendered sentence, which is its `text`."""
    space = program.space
    return {
        "format": "dslc.parse/1",
        "file": space.file.name,
        "start": space.start,
        "text": program.text,
        "tokens": list(program.tokens),
        "index": str(space.index(program.tokens)),
        "ambiguous": is_ambiguous,
        "tree": describe_tree(program.tree),
        "hash": _hash_or_none(program),
    }


def describe_tree(tree: ParseTree) -> dict[str, Any]:
    """A tree as nested JSON values: rules with `choice` and `children`, terminals with `token` and `column`, None.

    Example:
        >>> describe_tree(ParseTree("act", (Leaf("NAME", "sin", token=3),), choice=1))
        {'rule': 'act', 'choice': 1, 'children': [{'terminal': 'NAME', 'text': 'sin', 'token': 3, 'column': 1}]}
    """
    root: dict[str, Any] = {"rule": tree.name, "choice": tree.choice, "children": []}
    # A loop with its own stack: a left-recursive sentence nests as deeply as it is long.
    stack = [(tree, root)]
    while stack:
        node, document = stack.pop()
        for child in node.children:
            if isinstance(child, ParseTree):
                inner: dict[str, Any] = {"rule": child.name, "choice": child.choice, "children": []}
                document["children"].append(inner)
                stack.append((child, inner))
            else:
                document["children"].append(None if child is None else _describe_leaf(child))
    return root


def _describe_leaf(leaf: Leaf) -> dict[str, Any]:
    return {"terminal": leaf.terminal, "text": leaf.text, "token": leaf.token, "column": leaf.position + 1}


def _describe_token(token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "label": token.label,
        "kind": token.kind.value,
        "terminal": token.terminal,
        "text": token.text,
    }


def _describe_rules(space: Space) -> list[dict[str, Any]]:
    """Rules of the start, helpers under the operator that they stand for, in order of writing."""
    kinds = space.lowering.classification.kind_by_rule
    rules = []
    for rule in space.lowering.bnf.rules:
        name = rule.label if rule.helper is not None and rule.label else rule.name
        line = rule.span.location.line if rule.span is not None else None
        rules.append({"name": name, "line": line, "kind": kinds[rule.name].value})
    return rules


def _describe_constraints(space: Space) -> list[dict[str, Any]]:
    """What trees have to obey, in order of writing.

    Beside the keys of the format: `unfused`, of an inherited one the rules that are no lists because of constraints.
    """
    constraining = space.lowering.constraining
    rules = space.lowering.bnf.rule_by_name
    unfused = [rules[name].label or name for name in rules if name in constraining.no_lists]
    return [
        {
            "pragma": constraint.word,
            "text": constraint.value,
            "kind": "inherited" if constraint.kind.is_inherited else "threaded",
            "line": constraint.span.location.line if constraint.span is not None else None,
            "unfused": unfused if constraint.kind.is_inherited else [],
        }
        for constraint in constraining.constraints
    ]


def _describe_anchors(space: Space) -> list[dict[str, Any]]:
    """Which decisions ask about which nodes, in order of writing."""
    literals = {terminal.name: terminal.literals for terminal in space.compilation.grammar.terminals}
    return [
        {
            "terminal": anchor.terminal,
            "rule": anchor.rule,
            "yes": literals[anchor.terminal][yes_literal(literals[anchor.terminal])].text,
            "line": anchor.span.location.line if anchor.span is not None else None,
        }
        for anchor in space.compilation.grammar.pragmas.anchors
    ]


def _describe_populations(space: Space) -> dict[str, Any]:
    """`arrays` and `order`, in which sentences are programs, or the `reason` why there are no arrays."""
    tables = space.elementwise
    if isinstance(tables, str):
        return {"arrays": False, "order": None, "reason": tables}
    return {"arrays": True, "order": "postfix" if tables.code_by_token is None else "prefix", "reason": None}


def _describe_choices(space: Space) -> list[dict[str, Any]]:
    """Slots with the ids of the tokens that can fill them, whatever the budget."""
    automaton = space.lowering.automaton
    extra = automaton.extra.reshape(automaton.num_slots, automaton.num_tokens + 1)[:, :-1]
    return [
        {"slot": name, "tokens": [int(token) for token in (row < NO_CHOICE).nonzero()[0]]}
        for name, row in zip(automaton.slot_names, extra, strict=True)
    ]


def _decisions_per_terminal(space: Space) -> float | None:
    programs = space.samples(_SAMPLES_FOR_DECISIONS, seed=0)
    tokens = [space.vocabulary[token] for program in programs for token in program.tokens]
    literals = sum(token.kind is TokenKind.LITERAL for token in tokens)
    return len(tokens) / literals if literals else None


def _hash_or_none(program: Program) -> str | None:
    try:
        return program.hash
    except DslcError:  # the sentence parses but has no meaning
        return None


def _sha256(space: Space) -> str:
    return sha256(space.file.text.encode()).hexdigest()
