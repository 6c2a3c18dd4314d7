"""The graph of an update rule: what the words of a sentence of the target `optimizer` compute.

Equal values are computed once, except what is drawn at random: that is drawn anew wherever it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import cast

from dslc.program.graph import INPUT, Graph, GraphBuilder, Node
from dslc.program.meaningless import unknown_name, wrong_children
from dslc.program.op_rules import AttributeValue
from dslc.program.op_tables.expression import ANY_SHAPE
from dslc.program.op_tables.optimizer import DECAYS, NOISE
from dslc.program.tensor_type import TensorType
from dslc.program.tree import ParseTree

TARGET_NAME = "optimizer"
PARTS = ("operand 1", "operand 2", "unary of operand 1", "unary of operand 2", "binary")
"""Children of an update, in the paper's order."""
SCALAR = TensorType(())
NUMBER, CHANGES, NEVER_NEGATIVE = 1, 2, 4
"""Traits of a value, as bits: one number for all weights; not the same at every step; nowhere below 0."""
ANY_NUMBER = NUMBER | CHANGES
NEVER_NEGATIVE_INPUTS = frozenset(("v", "r"))

# --- what words mean --------------------------------------------------------------------------------------------------

_TRAITS: Mapping[str, int] = {
    **dict.fromkeys(("square", "exp", "sqrt", "abs"), NEVER_NEGATIVE),
    **dict.fromkeys([spec.name for spec in DECAYS], NUMBER | CHANGES | NEVER_NEGATIVE),
    "number": NUMBER,
}
_DRAWN = frozenset(spec.name for spec in NOISE)


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """An op with its attributes: one object for all words that mean it, so that it is quickly compared."""

    op: str
    attributes: tuple[tuple[str, AttributeValue], ...]
    traits: int
    """Those of what it computes, whatever its inputs are."""
    is_drawn: bool
    """It draws at random."""


@cache
def _function(op: str, attribute: str | None = None, value: AttributeValue = 0) -> Function:
    return Function(op, ((attribute, value),) if attribute else (), _TRAITS.get(op, 0), op in _DRAWN)


IDENTITY, ABS, FILL = _function("identity"), _function("abs"), _function("fill")
NEGATE, LOG, SQRT = _function("negate"), _function("log"), _function("sqrt")
MUL, GUARDED_DIV, POW = _function("mul"), _function("guarded_div"), _function("pow")
SQUARE, CUBE, SIGN = _function("square"), _function("cube"), _function("sign")

UNARY: Mapping[str, Function] = {
    "identity": IDENTITY,
    "negate": NEGATE,
    "exp": _function("exp"),
    "log_abs": LOG,
    "sqrt_abs": SQRT,
    "clip_1e_5": _function("clip", "bound", 1e-5),
    "clip_1e_4": _function("clip", "bound", 1e-4),
    "clip_1e_3": _function("clip", "bound", 1e-3),
    "drop_0_1": _function("drop", "probability", 0.1),
    "drop_0_3": _function("drop", "probability", 0.3),
    "drop_0_5": _function("drop", "probability", 0.5),
    "sign": _function("sign"),
}
"""Logarithms and roots are of absolute values."""
BINARY: Mapping[str, Function] = {
    "add": _function("add"),
    "sub": _function("sub"),
    "mul": MUL,
    "div": GUARDED_DIV,
    "pow": POW,
    "keep_left": IDENTITY,
}

# --- tree to graph ----------------------------------------------------------------------------------------------------

FiveTrees = tuple[ParseTree, ParseTree, ParseTree, ParseTree, ParseTree]
Operand = Callable[["RuleBuilder", ParseTree], int]
"""Adds the value of an operand to a rule; the tree is where it stands."""
Update = tuple[ParseTree, ParseTree, ParseTree, ParseTree, ParseTree, Function, Function, Function]
"""The parts of an update, and what its unary functions and its binary one do."""


def build_update_rule(root: ParseTree) -> Graph:
    """The graph of the update that a tree is.

    Raises:
        DslcError: DSLC403 or DSLC404 if a node is not of the target's form.
    """
    rule = RuleBuilder()
    operands, apply = rule.operands, rule.apply
    values: list[int] = []  # ids of their nodes
    # What is still to do, the next one last: values to compute, and updates whose operands are computed.
    pending: list[ParseTree | Update] = [root]
    while pending:
        task = pending.pop()
        if isinstance(task, tuple):
            _, thrown_away, first_unary, second_unary, binary, first, second, function = task
            if function is IDENTITY:
                _check_value(thrown_away)
                values[-1] = apply(first, values[-1], first_unary)
            else:
                other = values.pop()
                one = apply(first, values[-1], first_unary)
                values[-1] = rule.join(function, one, apply(second, other, second_unary), binary)
        elif task.name == "update":
            update = _read_update(task)
            first_operand, second_operand, _, _, _, _, _, function = update
            pending.append(update)
            if function is not IDENTITY:
                pending.append(second_operand)
            pending.append(first_operand)
        else:
            known = operands.get(task.name)
            values.append(rule.add_operand(task) if known is None else known)
    (result,) = values
    return rule.finish_rule(result)


def _read_update(update: ParseTree) -> Update:
    """An update, its functions checked."""
    children = update.children
    if len(children) != len(PARTS):
        raise wrong_children(TARGET_NAME, update, PARTS)
    one, other, first_unary, second_unary, binary = cast(FiveTrees, children)
    # In one chain, since a search reads millions of updates.
    if not type(one) is type(other) is type(first_unary) is type(second_unary) is type(binary) is ParseTree:
        raise wrong_children(TARGET_NAME, update, PARTS)
    first, second, function = UNARY.get(first_unary.name), UNARY.get(second_unary.name), BINARY.get(binary.name)
    if first is None:
        raise unknown_name(TARGET_NAME, first_unary, UNARY)
    if second is None:
        raise unknown_name(TARGET_NAME, second_unary, UNARY)
    if function is None:
        raise unknown_name(TARGET_NAME, binary, BINARY)
    return one, other, first_unary, second_unary, binary, first, second, function


def _check_value(value: ParseTree) -> None:
    """Nothing, if a value that is not computed has a meaning."""
    stack = [value]
    while stack:
        tree = stack.pop()
        if tree.name == "update":
            one, other, *_ = _read_update(tree)
            stack += (other, one)
        elif tree.name not in OPERANDS:
            raise unknown_name(TARGET_NAME, tree, ("update", *OPERANDS))


class RuleBuilder(GraphBuilder):
    """Adds what the words of a sentence mean, each value once; values are known by the ids of their nodes.

    All values have the shape of the weights and nothing is trained, so nodes are made without asking the table of ops.
    """

    def __init__(self) -> None:
        super().__init__()
        self._inputs: dict[str, int] = {}
        self.operands: dict[str, int] = {}
        """Values of operands so far, but for what is drawn at random."""
        self._known: dict[tuple[Function | int, ...], int] = {}
        """Values by what computes them: the function and its inputs."""
        self._traits: list[int] = []
        """[node] which of NUMBER, CHANGES and NEVER_NEGATIVE hold of it."""
        self._one = -1
        """The number 1, once there is one."""
        self._is_all_used = True

    def finish_rule(self, update: int) -> Graph:
        """The graph of the update."""
        # Each value is made for one that needs it, but for a 1 that something is multiplied with.
        return Graph(tuple(self._nodes), (update,)) if self._is_all_used else self.finish(self._nodes[update])

    def add_operand(self, tree: ParseTree) -> int:
        """The value of an operand that is none of `operands`."""
        name = tree.name
        compute = OPERANDS.get(name)
        if compute is None:
            raise unknown_name(TARGET_NAME, tree, ("update", *OPERANDS))
        value = compute(self, tree)
        if name not in DRAWN_OPERANDS:
            self.operands[name] = value
            if name == "one":
                self._one = value
        return value

    def input(self, name: str) -> int:
        """An input of the rule."""
        value = self._inputs.get(name)
        if value is None:
            value = self._inputs[name] = len(self._nodes)
            self._nodes.append(_input_node(value, name))
            self._traits.append(NEVER_NEGATIVE if name in NEVER_NEGATIVE_INPUTS else 0)
        return value

    def number(self, value: float, tree: ParseTree) -> int:
        """A number of the sentence."""
        function, place = _function("number", "value", value), len(self._nodes)
        known = self._known.setdefault((function,), place)
        if known == place:
            span = tree.start_token, tree.end_token
            self._nodes.append(Node(place, "number", (), ANY_SHAPE, function.attributes, (), tree.name, span))
            self._traits.append(NUMBER)
        return known

    def apply(self, function: Function, value: int, tree: ParseTree) -> int:
        """A function of one value."""
        if function is IDENTITY:
            return value
        nodes, traits = self._nodes, self._traits
        own = traits[value]
        if own & NUMBER and (function.is_drawn or (own & CHANGES and function is not NEGATE)):
            value = self._fill(value, tree)
            own = traits[value]
        if (function is LOG or function is SQRT) and not own & NEVER_NEGATIVE:
            value = self.apply(ABS, value, tree)
        place = len(nodes)
        if not function.is_drawn:
            known = self._known.setdefault((function, value), place)
            if known != place:
                return known
        span = tree.start_token, tree.end_token
        nodes.append(Node(place, function.op, (value,), ANY_SHAPE, function.attributes, (), tree.name, span))
        # What is computed from numbers alone is a number, and another at each step if one of them is.
        traits.append(function.traits | own & ANY_NUMBER)
        return place

    def join(self, function: Function, one: int, other: int, tree: ParseTree) -> int:
        """A function of two values."""
        nodes, traits = self._nodes, self._traits
        first, second = traits[one], traits[other]
        if function is MUL:
            if one == self._one:
                self._is_all_used = False
                return other
            if other == self._one:
                self._is_all_used = False
                return one
        elif first & second & NUMBER and (function is GUARDED_DIV or function is POW):
            if second & CHANGES:
                other = self._fill(other, tree)
                second = traits[other]
            elif first & CHANGES:
                one = self._fill(one, tree)
                first = traits[one]
        place = len(nodes)
        if not function.is_drawn:
            known = self._known.setdefault((function, one, other), place)
            if known != place:
                return known
        span = tree.start_token, tree.end_token
        nodes.append(Node(place, function.op, (one, other), ANY_SHAPE, function.attributes, (), tree.name, span))
        traits.append(function.traits | ((first | second) & ANY_NUMBER if first & second & NUMBER else 0))
        return place

    def _fill(self, number: int, tree: ParseTree) -> int:
        """A tensor of the number: what is done to it then follows the rules of tensors, also beyond the largest float.

        Constants need this only where every weight has a draw of its own, since an emitter can compute them.
        """
        filled = self.join(FILL, number, self.input("g"), tree)
        self._traits[filled] = self._traits[number] & NEVER_NEGATIVE
        return filled


@lru_cache(maxsize=1024)
def _input_node(place: int, name: str) -> Node:
    """The node of an input, which rules share."""
    return Node(place, INPUT, (), SCALAR if name in ("t", "T") else ANY_SHAPE, (("name", name),), rule=name)


def _input(name: str) -> Operand:
    return lambda rule, _: rule.input(name)


def _apply(function: Function, name: str) -> Operand:
    return lambda rule, tree: rule.apply(function, rule.input(name), tree)


def _join(function: Function, name: str, other_name: str) -> Operand:
    return lambda rule, tree: rule.join(function, rule.input(name), rule.input(other_name), tree)


def _number(value: float) -> Operand:
    return lambda rule, tree: rule.number(value, tree)


def _weight(factor: float) -> Operand:
    return lambda rule, tree: rule.join(MUL, rule.number(factor, tree), rule.input("w"), tree)


def _divide_by_root(name: str, square: str) -> Operand:
    return lambda rule, tree: rule.join(GUARDED_DIV, rule.input(name), rule.apply(SQRT, rule.input(square), tree), tree)


OPERANDS: Mapping[str, Operand] = {
    "gradient": _input("g"),
    "gradient_square": _apply(SQUARE, "g"),
    "gradient_cube": _apply(CUBE, "g"),
    "mean": _input("m"),
    "mean_square": _input("v"),
    "mean_cube": _input("y"),
    "sign_gradient": _apply(SIGN, "g"),
    "sign_mean": _apply(SIGN, "m"),
    "one": _number(1.0),
    "two": _number(2.0),
    "noise": _apply(_function("gaussian_noise", "deviation", 0.01), "g"),
    "weight_1e_4": _weight(1e-4),
    "weight_1e_3": _weight(1e-3),
    "weight_1e_2": _weight(1e-2),
    "weight_1e_1": _weight(1e-1),
    "adam": _divide_by_root("m", "v"),
    "rmsprop": _divide_by_root("g", "r"),
    "linear_decay": _join(_function("linear_decay"), "t", "T"),
    "cosine_decay": _join(_function("cosine_decay"), "t", "T"),
    "restart_decay_2": _join(_function("restart_decay", "restarts", 2), "t", "T"),
    "restart_decay_10": _join(_function("restart_decay", "restarts", 10), "t", "T"),
    "restart_decay_20": _join(_function("restart_decay", "restarts", 20), "t", "T"),
    "annealed_noise": _join(_function("annealed_noise"), "g", "t"),
}
"""How each operand is computed."""
DRAWN_OPERANDS = frozenset(("noise", "annealed_noise"))
