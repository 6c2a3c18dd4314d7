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

from dslc.program.build_update_rule import PARTS, TARGET_NAME, build_update_rule
from dslc.program.emit import PythonSource
from dslc.program.emit_update_rule import emit_update_rule
from dslc.program.graph import Graph
from dslc.program.meaningless import wrong_children
from dslc.program.targets import AliasSpec, BuildArgument, Built
from dslc.program.tree import ParseTree
from dslc.program.write_update_rule import write_update_rule

LONGEST_FORMULA = 120
"""Of a formula that a drawing shows; a longer one is not read."""

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


@dataclass(frozen=True)
class Optimizer:
    """The target `optimizer`."""

    name: str = TARGET_NAME
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
        return build_update_rule(root)

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


def _only_child(tree: ParseTree) -> ParseTree:
    if len(tree.children) != 1 or not isinstance(tree.children[0], ParseTree):
        raise wrong_children(TARGET.name, tree, ("update",))
    return tree.children[0]
