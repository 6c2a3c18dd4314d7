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
from dslc.program.meaningless import Child, unknown_name, wrong_children
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
MENUS = (UNARY, UNARY, BINARY)
"""What the last three parts of an update can be."""
MENUS = (UNARY, UNARY, BINARY)
"""Of the functions of an update, in the order of its children."""
ALIASES: Mapping[str, AliasSpec] = MappingProxyType(
    {
        "update": AliasSpec("binary(unary(operand), unary(operand)) (bello2017)", PARTS),
        **OPERANDS,
        **UNARY,
        **BINARY,
    }
)

WEIGHT_FACTORS = MappingProxyType({"weight_1e_4": 1e-4, "weight_1e_3": 1e-3, "weight_1e_2": 1e-2, "weight_1e_1": 1e-1})
CLIP_BOUNDS = MappingProxyType({"clip_1e_5": 1e-5, "clip_1e_4": 1e-4, "clip_1e_3": 1e-3})
DROP_PROBABILITIES = MappingProxyType({"drop_0_1": 0.1, "drop_0_3": 0.3, "drop_0_5": 0.5})
RESTARTS = MappingProxyType({"restart_decay_2": 2, "restart_decay_10": 10, "restart_decay_20": 20})
NOISE_DEVIATION = 0.01
DECAY_OPS = frozenset(spec.name for spec in DECAYS)
RANDOM_OPS = frozenset(spec.name for spec in NOISE)
NEVER_NEGATIVE = frozenset(("square", "exp", "sqrt", "abs", *DECAY_OPS))
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
        _check_updates(root)
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


def _check_updates(root: Child) -> None:
    stack = [root]
    while stack:
        tree = stack.pop()
        assert isinstance(tree, ParseTree), "only trees are put on the stack"
        if tree.name == "update":
            children = tree.children
            if len(children) != len(PARTS) or any(not isinstance(child, ParseTree) for child in children):
                raise wrong_children(TARGET.name, tree, PARTS)
            for child, menu in zip(children[2:], MENUS, strict=True):
                assert isinstance(child, ParseTree), "checked above"
                if child.name not in menu:
                    raise unknown_name(TARGET.name, child, menu)
            stack += children[1::-1]
        elif tree.name not in OPERANDS:
            raise unknown_name(TARGET.name, tree, ("update", *OPERANDS))


def _build_graph(root: ParseTree) -> Graph:
    """The graph of a tree that has been checked."""
    rule = _RuleBuilder()
    values: list[Node] = []
    stack = [(root, False)]
    while stack:
        tree, has_operands = stack.pop()
        if tree.name != "update":
            values.append(rule.add_operand(tree))
            continue
        first, second, first_unary, second_unary, binary = cast(tuple[ParseTree, ...], tree.children)
        operands = (first,) if binary.name == "keep_left" else (first, second)
        if not has_operands:
            stack.append((tree, True))
            stack += [(operand, False) for operand in reversed(operands)]
        elif binary.name == "keep_left":
            values.append(rule.add_unary(first_unary, values.pop()))
        else:
            other, one = values.pop(), values.pop()
            one = rule.add_unary(first_unary, one)
            values.append(rule.add_binary(binary, one, rule.add_unary(second_unary, other)))
    (update,) = values
    return rule.builder.finish(update)


class _RuleBuilder:
    """Adds what the words of a sentence mean, each value once."""

    def __init__(self) -> None:
        self.builder = GraphBuilder()
        self._inputs: dict[str, Node] = {}
        self._known: dict[tuple[object, ...], Node] = {}
        self._numbers: set[int] = set()
        """One number for all weights."""
        self._decays: set[int] = set()
        """Numbers that are not the same at every step."""
        self._never_negative: set[int] = set()

    def add_operand(self, tree: ParseTree) -> Node:
        """The value of one of the operands."""
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
                return self._add("square", tree, self._input("g"))
            case "gradient_cube":
                return self._add("cube", tree, self._input("g"))
            case "sign_gradient":
                return self._add("sign", tree, self._input("g"))
            case "sign_mean":
                return self._add("sign", tree, self._input("m"))
            case "one":
                return self._add("number", tree, value=1.0)
            case "two":
                return self._add("number", tree, value=2.0)
            case "noise":
                return self._add("gaussian_noise", tree, self._input("g"), deviation=NOISE_DEVIATION)
            case "adam":
                return self._add("guarded_div", tree, self._input("m"), self._add("sqrt", tree, self._input("v")))
            case "rmsprop":
                return self._add("guarded_div", tree, self._input("g"), self._add("sqrt", tree, self._input("r")))
            case "linear_decay" | "cosine_decay":
                return self._add(tree.name, tree, self._input("t"), self._input("T"))
            case "annealed_noise":
                return self._add("annealed_noise", tree, self._input("g"), self._input("t"))
            case name if name in RESTARTS:
                return self._add("restart_decay", tree, self._input("t"), self._input("T"), restarts=RESTARTS[name])
            case name:
                factor = self._add("number", tree, value=WEIGHT_FACTORS[name])
                return self._add("mul", tree, factor, self._input("w"))

    def add_unary(self, tree: ParseTree, value: Node) -> Node:
        """A unary function of a value."""
        if value.id in self._decays and tree.name not in ("identity", "negate"):
            value = self._fill(tree, value)
        match tree.name:
            case "identity":
                return value
            case "log_abs" | "sqrt_abs":
                absolute = value if value.id in self._never_negative else self._add("abs", tree, value)
                return self._add("log" if tree.name == "log_abs" else "sqrt", tree, absolute)
            case name if name in CLIP_BOUNDS:
                return self._add("clip", tree, value, bound=CLIP_BOUNDS[name])
            case name if name in DROP_PROBABILITIES:
                if value.id in self._numbers:  # every weight has a draw of its own
                    value = self._fill(tree, value)
                return self._add("drop", tree, value, probability=DROP_PROBABILITIES[name])
            case name:
                return self._add(name, tree, value)

    def add_binary(self, tree: ParseTree, one: Node, other: Node) -> Node:
        """A binary function of two values."""
        if tree.name in ("div", "pow") and one.id in self._numbers and other.id in self._numbers:
            if other.id in self._decays:
                other = self._fill(tree, other)
            elif one.id in self._decays:
                one = self._fill(tree, one)
        match tree.name:
            case "div":
                return self._add("guarded_div", tree, one, other)
            case "pow":
                return self._add("pow", tree, one, other)
            case "mul" if self._is_one(one):
                return other
            case "mul" if self._is_one(other):
                return one
            case name:
                return self._add(name, tree, one, other)

    def _is_one(self, node: Node) -> bool:
        return node.op == "number" and node.attribute("value") == 1

    def _fill(self, tree: ParseTree, number: Node) -> Node:
        """A tensor of the number: what is done to it then follows the rules of tensors, also beyond the largest float.

        Constants need this only where every weight has a draw of its own, since an emitter can compute them.
        """
        filled = self._add("fill", tree, number, self._input("g"))
        if number.id in self._never_negative:
            self._never_negative.add(filled.id)
        return filled

    def _input(self, name: str) -> Node:
        if name not in self._inputs:
            node = self.builder.add_input(name, SCALAR if name in ("t", "T") else ANY_SHAPE)
            self._inputs[name] = node
            if name in NEVER_NEGATIVE_INPUTS:
                self._never_negative.add(node.id)
        return self._inputs[name]

    def _add(self, op: str, tree: ParseTree, *inputs: Node, **attributes: AttributeValue) -> Node:
        ids = [value.id for value in inputs]
        key = (op, *ids, *attributes.values())
        if key in self._known:
            return self._known[key]
        tokens = (tree.start_token, tree.end_token)
        node = self.builder.add(op, *inputs, attributes=attributes or None, rule=tree.name, tokens=tokens)
        if op not in RANDOM_OPS:
            self._known[key] = node
        if op in NEVER_NEGATIVE:
            self._never_negative.add(node.id)
        if op == "number" or op in DECAY_OPS:
            self._numbers.add(node.id)
            if op != "number":
                self._decays.add(node.id)
        elif self._numbers and op != "fill" and self._numbers.issuperset(ids):
            self._numbers.add(node.id)
            if not self._decays.isdisjoint(ids):
                self._decays.add(node.id)
        return node


def _only_child(tree: ParseTree) -> ParseTree:
    if len(tree.children) != 1 or not isinstance(tree.children[0], ParseTree):
        raise wrong_children(TARGET.name, tree, ("update",))
    return tree.children[0]
