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
from types import MappingProxyType
from typing import cast

from dslc.program.emit import PythonSource
from dslc.program.emit_update_rule import emit_update_rule
from dslc.program.graph import Graph, GraphBuilder, Node
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

WEIGHT_FACTORS = MappingProxyType({"weight_1e_4": 1e-4, "weight_1e_3": 1e-3, "weight_1e_2": 1e-2, "weight_1e_1": 1e-1})
RESTARTS = MappingProxyType({"restart_decay_2": 2, "restart_decay_10": 10, "restart_decay_20": 20})
NOISE_DEVIATION = 0.01
Attributes = tuple[tuple[str, AttributeValue], ...]
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
DECAY_OPS = frozenset(spec.name for spec in DECAYS)
RANDOM_OPS = frozenset(spec.name for spec in NOISE)
RANDOM_OPERANDS = frozenset(("noise", "annealed_noise"))
NEVER_NEGATIVE = frozenset(("square", "exp", "sqrt", "abs", *DECAY_OPS))
NEVER_NEGATIVE_INPUTS = frozenset(("v", "r"))
IS_ONE: Attributes = (("value", 1.0),)
"""Attributes that only the number 1 has."""
ONLY_TREES = frozenset((ParseTree,))


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
    values: list[Node] = []
    # What is still to do, the next one last: values to compute, and the parts of updates whose operands are computed.
    pending: list[ParseTree | tuple[ParseTree, ...]] = [root]
    operands, add_unary = rule.operands, rule.add_unary
    while pending:
        task = pending.pop()
        if isinstance(task, tuple):
            _, thrown_away, first_unary, second_unary, binary = task
            if binary.name == "keep_left":
                _check_value(thrown_away)
                values.append(add_unary(first_unary, values.pop()))
            else:
                other, one = values.pop(), values.pop()
                one = add_unary(first_unary, one)
                values.append(rule.add_binary(binary, one, add_unary(second_unary, other)))
        elif task.name == "update":
            parts = _read_update(task)
            pending.append(parts)
            if parts[4].name != "keep_left":
                pending.append(parts[1])
            pending.append(parts[0])
        else:
            values.append(operands.get(task.name) or rule.add_operand(task))
    (update,) = values
    return rule.finish(update)


def _read_update(update: ParseTree) -> tuple[ParseTree, ...]:
    """The parts of an update, its functions checked."""
    children = update.children
    if len(children) != len(PARTS) or {*map(type, children)} != ONLY_TREES:
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
    """Adds what the words of a sentence mean, each value once.

    All values have the shape of the weights and nothing is trained, so nodes are made without asking the table of ops.
    """

    def __init__(self) -> None:
        super().__init__()
        self._inputs: dict[str, Node] = {}
        self.operands: dict[str, Node] = {}
        """Values of operands so far, but for what is drawn at random."""
        self._known: dict[tuple[object, ...], Node] = {}
        self._numbers: set[int] = set()
        """One number for all weights."""
        self._decays: set[int] = set()
        """Numbers that are not the same at every step."""
        self._never_negative: set[int] = set()

    def add_operand(self, tree: ParseTree) -> Node:
        """The value of an operand that is none of `operands`."""
        node = self._new_operand(tree)
        if tree.name not in RANDOM_OPERANDS:
            self.operands[tree.name] = node
        return node

    def _new_operand(self, tree: ParseTree) -> Node:
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
                return self._add("square", (self._input("g").id,), tree)
            case "gradient_cube":
                return self._add("cube", (self._input("g").id,), tree)
            case "sign_gradient":
                return self._add("sign", (self._input("g").id,), tree)
            case "sign_mean":
                return self._add("sign", (self._input("m").id,), tree)
            case "one":
                return self._number(1.0, tree)
            case "two":
                return self._number(2.0, tree)
            case "noise":
                return self._add("gaussian_noise", (self._input("g").id,), tree, (("deviation", NOISE_DEVIATION),))
            case "adam":
                mean, root = self._input("m"), self._add("sqrt", (self._input("v").id,), tree)
                return self._add("guarded_div", (mean.id, root.id), tree)
            case "rmsprop":
                gradient, root = self._input("g"), self._add("sqrt", (self._input("r").id,), tree)
                return self._add("guarded_div", (gradient.id, root.id), tree)
            case "linear_decay" | "cosine_decay" as name:
                return self._decay(name, tree)
            case "annealed_noise":
                return self._add("annealed_noise", (self._input("g").id, self._input("t").id), tree)
            case name if name in RESTARTS:
                return self._decay("restart_decay", tree, (("restarts", RESTARTS[name]),))
            case name if name in WEIGHT_FACTORS:
                factor = self._number(WEIGHT_FACTORS[name], tree)
                return self._add("mul", (factor.id, self._input("w").id), tree)
            case _:
                raise unknown_name(TARGET.name, tree, ("update", *OPERANDS))

    def _number(self, value: float, tree: ParseTree) -> Node:
        node = self._add("number", (), tree, (("value", value),))
        self._numbers.add(node.id)
        return node

    def _decay(self, op: str, tree: ParseTree, attributes: Attributes = ()) -> Node:
        node = self._add(op, (self._input("t").id, self._input("T").id), tree, attributes)
        self._numbers.add(node.id)
        self._decays.add(node.id)
        return node

    def add_unary(self, tree: ParseTree, value: Node) -> Node:
        """A unary function of a value."""
        name = tree.name
        if name == "identity":
            return value
        op, attributes = UNARY_OPS[name]
        if value.id in self._numbers and (op == "drop" or (op != "negate" and value.id in self._decays)):
            value = self._fill(tree, value)
        if op in ("log", "sqrt") and value.id not in self._never_negative:
            value = self._add("abs", (value.id,), tree)
        return self._add(op, (value.id,), tree, attributes)

    def add_binary(self, tree: ParseTree, one: Node, other: Node) -> Node:
        """A binary function of two values."""
        op = BINARY_OPS[tree.name]
        if op == "mul":
            if one.attributes == IS_ONE:
                return other
            if other.attributes == IS_ONE:
                return one
        elif op in ("guarded_div", "pow") and one.id in self._numbers and other.id in self._numbers:
            if other.id in self._decays:
                other = self._fill(tree, other)
            elif one.id in self._decays:
                one = self._fill(tree, one)
        return self._add(op, (one.id, other.id), tree)

    def _fill(self, tree: ParseTree, number: Node) -> Node:
        """A tensor of the number: what is done to it then follows the rules of tensors, also beyond the largest float.

        Constants need this only where every weight has a draw of its own, since an emitter can compute them.
        """
        filled = self._add("fill", (number.id, self._input("g").id), tree)
        if number.id in self._never_negative:
            self._never_negative.add(filled.id)
        return filled

    def _input(self, name: str) -> Node:
        node = self._inputs.get(name)
        if node is None:
            node = self._inputs[name] = self.add_input(name, SCALAR if name in ("t", "T") else ANY_SHAPE)
            if name in NEVER_NEGATIVE_INPUTS:
                self._never_negative.add(node.id)
        return node

    def _add(self, op: str, inputs: tuple[int, ...], tree: ParseTree, attributes: Attributes = ()) -> Node:
        key = (op, inputs, attributes)
        node = self._known.get(key)
        if node is not None:
            return node
        nodes = self._nodes
        place = len(nodes)
        node = Node(place, op, inputs, ANY_SHAPE, attributes, (), tree.name, (tree.start_token, tree.end_token))
        nodes.append(node)
        if op not in RANDOM_OPS:
            self._known[key] = node
        if op in NEVER_NEGATIVE:
            self._never_negative.add(place)
        # What is computed from numbers alone is a number, and another at each step if one of them is.
        if self._numbers and inputs and op != "fill" and self._numbers.issuperset(inputs):
            self._numbers.add(place)
            if not self._decays.isdisjoint(inputs):
                self._decays.add(place)
        return node


def _only_child(tree: ParseTree) -> ParseTree:
    if len(tree.children) != 1 or not isinstance(tree.children[0], ParseTree):
        raise wrong_children(TARGET.name, tree, ("update",))
    return tree.children[0]
