"""Update rules of optimizers, w <- w - lr * update, as in Bello et al. (2017): binary(unary(operand), unary(operand)).

The learning rate multiplies the whole update (a weight decay that a rule adds is decoupled from it only in so far as
the rule says so). m, v, y are running means of g, g^2, g^3 with decays 0.9, 0.999, 0.999, each divided by 1 - decay^t
at the t-th update of a parameter, so that they begin as if they had always run. The operands `adam` and `rmsprop` are
the updates of these optimizers with PyTorch's defaults: m / (sqrt(v) + 1e-8), and g / (sqrt(r) + 1e-8), where r is a
running mean of g^2 with decay 0.99, not divided.

Decays and annealed noise look at the number of steps that the optimizer has done, 0 at the first; decays stay at their
value at T = `total_steps` once it is reached, as in TensorFlow's code of the published rules.

Equal values are computed once, except what is drawn at random: that is drawn anew wherever it stands. `identity` and
`keep_left` leave no trace, and what `keep_left` throws away is not computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import cast

from dslc.program.emit import PythonSource
from dslc.program.emit_update_rule import emit_update_rule
from dslc.program.graph import INPUT, Graph, GraphBuilder, Node
from dslc.program.meaningless import unknown_name, wrong_children
from dslc.program.op_rules import AttributeValue
from dslc.program.op_tables.expression import ANY_SHAPE
from dslc.program.op_tables.optimizer import DECAYS, NOISE
from dslc.program.targets import AliasSpec, BuildArgument, Built
from dslc.program.tensor_type import TensorType
from dslc.program.tree import ParseTree
from dslc.program.write_update_rule import write_update_rule

PARTS = ("operand 1", "operand 2", "unary of operand 1", "unary of operand 2", "binary")
"""Children of an update, in the paper's order."""
LONGEST_FORMULA = 120
"""Of a formula that a drawing shows; a longer one is not read."""
SCALAR = TensorType(())

OPERANDS: Mapping[str, AliasSpec] = MappingProxyType(
    {
        "gradient": AliasSpec("g"),
        "gradient_square": AliasSpec("g^2"),
        "gradient_cube": AliasSpec("g^3"),
        "mean": AliasSpec("m, the running mean of g with decay 0.9, bias-corrected"),
        "mean_square": AliasSpec("v, the running mean of g^2 with decay 0.999, bias-corrected"),
        "mean_cube": AliasSpec("y, the running mean of g^3 with decay 0.999, bias-corrected"),
        "sign_gradient": AliasSpec("sign(g)"),
        "sign_mean": AliasSpec("sign(m)"),
        "one": AliasSpec("1"),
        "two": AliasSpec("2"),
        "noise": AliasSpec("normal noise of deviation 0.01, drawn for every weight"),
        "weight_1e_4": AliasSpec("1e-4 w"),
        "weight_1e_3": AliasSpec("1e-3 w"),
        "weight_1e_2": AliasSpec("1e-2 w"),
        "weight_1e_1": AliasSpec("1e-1 w"),
        "adam": AliasSpec("the update of Adam (kingma2015), m / (sqrt(v) + 1e-8)"),
        "rmsprop": AliasSpec("the update of RMSProp, g / (sqrt(r) + 1e-8), r the running mean of g^2 with decay 0.99"),
        "linear_decay": AliasSpec("ld = 1 - t/T, t the steps done, T = total_steps"),
        "cosine_decay": AliasSpec("cd = (1 + cos(pi t/T)) / 2"),
        "restart_decay_2": AliasSpec("rd_2 = (1 + cos(pi (2 t mod T) / T)) / 2"),
        "restart_decay_10": AliasSpec("rd_10 = (1 + cos(pi (10 t mod T) / T)) / 2"),
        "restart_decay_20": AliasSpec("rd_20 = (1 + cos(pi (20 t mod T) / T)) / 2"),
        "annealed_noise": AliasSpec("normal noise of deviation 1 / (1 + t)^0.55, drawn for every weight"),
    }
)
UNARY: Mapping[str, AliasSpec] = MappingProxyType(
    {
        "identity": AliasSpec("x"),
        "negate": AliasSpec("-x"),
        "exp": AliasSpec("exp(x)"),
        "log_abs": AliasSpec("log(abs(x))"),
        "sqrt_abs": AliasSpec("sqrt(abs(x))"),
        "clip_1e_5": AliasSpec("x, but not beyond ± 1e-5"),
        "clip_1e_4": AliasSpec("x, but not beyond ± 1e-4"),
        "clip_1e_3": AliasSpec("x, but not beyond ± 1e-3"),
        "drop_0_1": AliasSpec("dropout: 0 with probability 0.1, else x / 0.9"),
        "drop_0_3": AliasSpec("dropout: 0 with probability 0.3, else x / 0.7"),
        "drop_0_5": AliasSpec("dropout: 0 with probability 0.5, else x / 0.5"),
        "sign": AliasSpec("sign(x)"),
    }
)
BINARY: Mapping[str, AliasSpec] = MappingProxyType(
    {
        "add": AliasSpec("x1 + x2"),
        "sub": AliasSpec("x1 - x2"),
        "mul": AliasSpec("x1 * x2"),
        "div": AliasSpec("x1 / (x2 + 1e-8)"),
        "pow": AliasSpec("x1^x2"),
        "keep_left": AliasSpec("x1"),
    }
)
ALIASES: Mapping[str, AliasSpec] = MappingProxyType(
    {
        "update": AliasSpec("binary(unary(operand), unary(operand)) (bello2017)", PARTS),
        **OPERANDS,
        **UNARY,
        **BINARY,
    }
)

Attributes = tuple[tuple[str, AttributeValue], ...]
IS_ONE: Attributes = (("value", 1.0),)
IS_TWO: Attributes = (("value", 2.0),)
OF_NOISE: Attributes = (("deviation", 0.01),)
WEIGHT_FACTORS: Mapping[str, Attributes] = {
    "weight_1e_4": (("value", 1e-4),),
    "weight_1e_3": (("value", 1e-3),),
    "weight_1e_2": (("value", 1e-2),),
    "weight_1e_1": (("value", 1e-1),),
}
RESTARTS: Mapping[str, Attributes] = {
    "restart_decay_2": (("restarts", 2),),
    "restart_decay_10": (("restarts", 10),),
    "restart_decay_20": (("restarts", 20),),
}
UNARY_OPS: Mapping[str, tuple[str, Attributes]] = {
    "identity": ("identity", ()),
    "negate": ("negate", ()),
    "exp": ("exp", ()),
    "log_abs": ("log", ()),
    "sqrt_abs": ("sqrt", ()),
    "clip_1e_5": ("clip", (("bound", 1e-5),)),
    "clip_1e_4": ("clip", (("bound", 1e-4),)),
    "clip_1e_3": ("clip", (("bound", 1e-3),)),
    "drop_0_1": ("drop", (("probability", 0.1),)),
    "drop_0_3": ("drop", (("probability", 0.3),)),
    "drop_0_5": ("drop", (("probability", 0.5),)),
    "sign": ("sign", ()),
}
"""Op of each unary function, and its attributes; logarithms and roots are of absolute values."""
BINARY_OPS: Mapping[str, str] = {
    "add": "add",
    "sub": "sub",
    "mul": "mul",
    "div": "guarded_div",
    "pow": "pow",
    "keep_left": "identity",
}
"""Op of each binary function."""
RANDOM_OPS = frozenset(spec.name for spec in NOISE)
RANDOM_OPERANDS = frozenset(("noise", "annealed_noise"))
NUMBER, CHANGES, NEVER_NEGATIVE = 1, 2, 4
"""Traits of a value, as bits: one number for all weights; not the same at every step; nowhere below 0."""
ANY_NUMBER = NUMBER | CHANGES
TRAITS: Mapping[str, int] = {
    **dict.fromkeys(("square", "exp", "sqrt", "abs"), NEVER_NEGATIVE),
    **dict.fromkeys([spec.name for spec in DECAYS], NUMBER | CHANGES | NEVER_NEGATIVE),
    "number": NUMBER,
}
"""Traits of what an op computes, whatever its inputs are."""
NEVER_NEGATIVE_INPUTS = frozenset(("v", "r"))


@dataclass(frozen=True)
class Optimizer:
    """The target `optimizer`."""

    name: str = "optimizer"
    class_name: str = "UpdateRule"
    builds: Built = Built.OPTIMIZER

    @property
    def aliases(self) -> Mapping[str, AliasSpec]:
        """Updates, their operands and the functions."""
        return ALIASES

    @property
    def build_arguments(self) -> tuple[BuildArgument, ...]:
        """As of PyTorch's optimizers, and how long the training is."""
        return (
            BuildArgument("params", "parameters to update, or groups of them, as for any of PyTorch's optimizers"),
            BuildArgument("lr", "learning rate"),
            BuildArgument("total_steps", "steps of the whole training, for rules with a decay", is_optional=True),
        )

    @property
    def example_arguments(self) -> None:
        """None: an optimizer needs parameters."""
        return

    def elaborate(self, tree: ParseTree) -> Graph:
        """The update that a tree means: what the learning rate multiplies.

        The root is an update, or a node of any name around one. Inputs of the graph are those that the rule needs: g,
        w, the means m, v, y, r, and the steps done t with their total T.

        Raises:
            DslcError: DSLC403 or DSLC404 if a node is not of the target's form.
        """
        root = tree if tree.name == "update" else _only_child(tree)
        return _build_graph(root)

    def write_formula(self, graph: Graph) -> str | None:
        """w <- w - lr * ..., where it is short enough to be read."""
        return write_update_rule(graph, LONGEST_FORMULA)

    def plot_inputs(self, graph: Graph) -> tuple[float, float] | None:  # noqa: ARG002
        """None: no function of one number."""
        return None

    def emit(self, graph: Graph, class_name: str | None, sentence: str) -> PythonSource:
        """Source of a `torch.optim.Optimizer` with constructor `(params, lr, total_steps=None)`.

        Raises:
            DslcError: DSLC502 if a class cannot have that name.
        """
        return emit_update_rule(graph, class_name or self.class_name, sentence)


TARGET = Optimizer()


# --- tree to graph ----------------------------------------------------------------------------------------------------


def _build_graph(root: ParseTree) -> Graph:
    rule = _RuleBuilder()
    values: list[int] = []  # ids of their nodes
    # What is still to do, the next one last: values to compute, and the parts of updates whose operands are computed.
    pending: list[ParseTree | tuple[ParseTree, ...]] = [root]
    operands, add_unary = rule.operands, rule.add_unary
    while pending:
        task = pending.pop()
        if isinstance(task, tuple):
            _, thrown_away, first_unary, second_unary, binary = task
            if binary.name == "keep_left":
                _check_value(thrown_away)
                values[-1] = add_unary(first_unary, values[-1])
            else:
                other = values.pop()
                one = add_unary(first_unary, values[-1])
                values[-1] = rule.add_binary(binary, one, add_unary(second_unary, other))
        elif task.name == "update":
            parts = _read_update(task)
            pending.append(parts)
            if parts[4].name != "keep_left":
                pending.append(parts[1])
            pending.append(parts[0])
        else:
            known = operands.get(task.name)
            values.append(rule.add_operand(task) if known is None else known)
    (update,) = values
    return rule.finish_rule(update)


def _read_update(update: ParseTree) -> tuple[ParseTree, ...]:
    """The parts of an update, its functions checked."""
    children = update.children
    if len(children) != len(PARTS):
        raise wrong_children(TARGET.name, update, PARTS)
    one, other, first, second, binary = children
    # In one chain, since a search reads millions of updates.
    if not type(one) is type(other) is type(first) is type(second) is type(binary) is ParseTree:
        raise wrong_children(TARGET.name, update, PARTS)
    parts = cast(tuple[ParseTree, ...], children)
    if parts[2].name not in UNARY_OPS:
        raise unknown_name(TARGET.name, parts[2], UNARY)
    if parts[3].name not in UNARY_OPS:
        raise unknown_name(TARGET.name, parts[3], UNARY)
    if parts[4].name not in BINARY_OPS:
        raise unknown_name(TARGET.name, parts[4], BINARY)
    return parts


def _check_value(value: ParseTree) -> None:
    """Nothing, if a value that is not computed has a meaning."""
    stack = [value]
    while stack:
        tree = stack.pop()
        if tree.name == "update":
            stack += _read_update(tree)[1::-1]
        elif tree.name not in OPERANDS:
            raise unknown_name(TARGET.name, tree, ("update", *OPERANDS))


class _RuleBuilder(GraphBuilder):
    """Adds what the words of a sentence mean, each value once; values are known by the ids of their nodes.

    All values have the shape of the weights and nothing is trained, so nodes are made without asking the table of ops.
    """

    def __init__(self) -> None:
        super().__init__()
        self._inputs: dict[str, int] = {}
        self.operands: dict[str, int] = {}
        """Values of operands so far, but for what is drawn at random."""
        self._known: dict[tuple[object, ...], int] = {}
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
        value = self._new_operand(tree)
        if tree.name not in RANDOM_OPERANDS:
            self.operands[tree.name] = value
        return value

    def _new_operand(self, tree: ParseTree) -> int:
        match tree.name:
            case "gradient":
                return self._input("g")
            case "mean":
                return self._input("m")
            case "mean_square":
                return self._input("v")
            case "mean_cube":
                return self._input("y")
            case "gradient_square":
                return self._add("square", (self._input("g"),), tree)
            case "gradient_cube":
                return self._add("cube", (self._input("g"),), tree)
            case "sign_gradient":
                return self._add("sign", (self._input("g"),), tree)
            case "sign_mean":
                return self._add("sign", (self._input("m"),), tree)
            case "one":
                self._one = self._add("number", (), tree, IS_ONE)
                return self._one
            case "two":
                return self._add("number", (), tree, IS_TWO)
            case "noise":
                return self._add("gaussian_noise", (self._input("g"),), tree, OF_NOISE)
            case "adam":
                mean, root = self._input("m"), self._add("sqrt", (self._input("v"),), tree)
                return self._add("guarded_div", (mean, root), tree)
            case "rmsprop":
                gradient, root = self._input("g"), self._add("sqrt", (self._input("r"),), tree)
                return self._add("guarded_div", (gradient, root), tree)
            case "linear_decay" | "cosine_decay" as name:
                return self._add(name, (self._input("t"), self._input("T")), tree)
            case "annealed_noise":
                return self._add("annealed_noise", (self._input("g"), self._input("t")), tree)
            case name if name in RESTARTS:
                return self._add("restart_decay", (self._input("t"), self._input("T")), tree, RESTARTS[name])
            case name if name in WEIGHT_FACTORS:
                factor = self._add("number", (), tree, WEIGHT_FACTORS[name])
                return self._add("mul", (factor, self._input("w")), tree)
            case _:
                raise unknown_name(TARGET.name, tree, ("update", *OPERANDS))

    def add_unary(self, tree: ParseTree, value: int) -> int:
        """A unary function of a value."""
        op, attributes = UNARY_OPS[tree.name]
        if op == "identity":
            return value
        traits = self._traits[value]
        if traits & NUMBER and (op == "drop" or (traits & CHANGES and op != "negate")):
            value = self._fill(tree, value)
        if (op == "log" or op == "sqrt") and not traits & NEVER_NEGATIVE:
            value = self._add("abs", (value,), tree)
        return self._add(op, (value,), tree, attributes)

    def add_binary(self, tree: ParseTree, one: int, other: int) -> int:
        """A binary function of two values."""
        op = BINARY_OPS[tree.name]
        if op == "mul":
            if one == self._one:
                self._is_all_used = False
                return other
            if other == self._one:
                self._is_all_used = False
                return one
        elif op == "guarded_div" or op == "pow":
            traits, other_traits = self._traits[one], self._traits[other]
            if traits & other_traits & NUMBER:
                if other_traits & CHANGES:
                    other = self._fill(tree, other)
                elif traits & CHANGES:
                    one = self._fill(tree, one)
        return self._add(op, (one, other), tree)

    def _fill(self, tree: ParseTree, number: int) -> int:
        """A tensor of the number: what is done to it then follows the rules of tensors, also beyond the largest float.

        Constants need this only where every weight has a draw of its own, since an emitter can compute them.
        """
        traits = self._traits[number]
        filled = self._add("fill", (number, self._input("g")), tree)
        self._traits[filled] = traits & NEVER_NEGATIVE
        return filled

    def _input(self, name: str) -> int:
        value = self._inputs.get(name)
        if value is None:
            value = self._inputs[name] = len(self._nodes)
            self._nodes.append(_input_node(value, name))
            self._traits.append(NEVER_NEGATIVE if name in NEVER_NEGATIVE_INPUTS else 0)
        return value

    def _add(self, op: str, inputs: tuple[int, ...], tree: ParseTree, attributes: Attributes = ()) -> int:
        nodes, traits = self._nodes, self._traits
        place = len(nodes)
        if op not in RANDOM_OPS:
            known = self._known.setdefault((op, inputs, attributes), place)
            if known != place:
                return known
        nodes.append(Node(place, op, inputs, ANY_SHAPE, attributes, (), tree.name, (tree.start_token, tree.end_token)))
        # What is computed from numbers alone is a number, and another at each step if one of them is.
        own = TRAITS.get(op, 0)
        if len(inputs) == 1:
            own |= traits[inputs[0]] & ANY_NUMBER
        elif inputs and not own & NUMBER:
            one, other = inputs
            first, second = traits[one], traits[other]
            if first & second & NUMBER:
                own |= (first | second) & ANY_NUMBER
        traits.append(own)
        return place


@lru_cache(maxsize=1024)
def _input_node(place: int, name: str) -> Node:
    """The node of an input, which rules share."""
    return Node(place, INPUT, (), SCALAR if name in ("t", "T") else ANY_SHAPE, (("name", name),), rule=name)


def _only_child(tree: ParseTree) -> ParseTree:
    if len(tree.children) != 1 or not isinstance(tree.children[0], ParseTree):
        raise wrong_children(TARGET.name, tree, ("update",))
    return tree.children[0]
