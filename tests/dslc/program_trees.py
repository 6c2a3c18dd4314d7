"""Trees of the two targets for tests, made by hand or uniformly at random, without the compiler."""

from __future__ import annotations

import random

from dslc.program.tree import Leaf, ParseTree

# From the papers, written a second time: Zoph and Le 2017, section 4.1; Ramachandran et al. 2017, section 2.
SIDES, STRIDES, FILTERS = (1, 3, 5, 7), (1, 2, 3), (24, 36, 48, 64)
UNARY = [
    "identity",
    "negate",
    "abs",
    "square",
    "cube",
    "sqrt",
    "scale",
    "shift",
    "log_abs",
    "exp",
    "sin",
    "cos",
    "sinh",
]
UNARY += [
    "cosh",
    "tanh",
    "asinh",
    "atan",
    "sinc",
    "relu",
    "min_zero",
    "sigmoid",
    "softplus",
    "gaussian",
    "erf",
    "constant",
]
BINARY = ["add", "mul", "sub", "div", "max", "min", "gate", "rbf", "laplace", "mix"]
X = ParseTree("x", (), rule="input")


def layer(*sizes: int, name: str = "layer", token: int = 0) -> ParseTree:
    """One layer: filter height and width, strides, number of filters; without strides for `layer_stride_1`."""
    return ParseTree(name, tuple(Leaf("SIZE", str(size)) for size in sizes), 0, name, token, token + len(sizes))


def network(*layers: tuple[int, ...]) -> ParseTree:
    """A network of layers of five numbers each."""
    trees = tuple(layer(*sizes, token=5 * i) for i, sizes in enumerate(layers))
    return ParseTree("start", trees, 0, "start", 0, 5 * len(layers))


def random_network(generator: random.Random, depth: int = 3) -> ParseTree:
    """A network of `depth` layers, uniform over the paper's menus."""
    menus = (SIDES, SIDES, STRIDES, STRIDES, FILTERS)
    return network(*(tuple(generator.choice(menu) for menu in menus) for _ in range(depth)))


def core(first: ParseTree, second: ParseTree, *names: str) -> ParseTree:
    """A core unit with two inputs and the names of two unary functions and a binary one."""
    inputs = [ParseTree("input", (each,), rule="input") if each.name == "core" else each for each in (first, second)]
    rules = ("unary", "unary", "binary")
    functions = [ParseTree(name, (), rule=rule) for name, rule in zip(names, rules, strict=True)]
    return ParseTree("core", (*inputs, *functions), rule="core")


def swish() -> ParseTree:
    """x * sigmoid(beta x) in two cores."""
    return ParseTree("nested", (core(X, core(X, X, "scale", "constant", "add"), "identity", "sigmoid", "mul"),))


def random_function(generator: random.Random, num_cores: int = 1) -> ParseTree:
    """`num_cores` nested cores of uniform functions, split evenly between the inputs."""

    def grow(count: int) -> ParseTree:
        if not count:
            return X
        left = generator.randrange(count)
        names = (generator.choice(UNARY), generator.choice(UNARY), generator.choice(BINARY))
        return core(grow(left), grow(count - 1 - left), *names)

    return ParseTree("nested", (grow(num_cores),), rule="nested")


def sentence(tree: ParseTree) -> str:
    """The sentence of a tree, as the shipped grammars write it."""
    match tree.name:
        case "x":
            return "x"
        case "input":
            return f"( {sentence_of(tree)} )"
        case "core" | "nested" | "start" | "layer" | "layer_stride_1":
            return sentence_of(tree)
        case name:
            return name


def sentence_of(tree: ParseTree) -> str:
    """The sentences of the children, joined."""
    parts = (child.text if isinstance(child, Leaf) else sentence(child) for child in tree.children if child)
    return " ".join(parts)
