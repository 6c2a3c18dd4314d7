"""Fourier activation functions: NPF(L, T) of Eisenach, Wang and Liu (2016), definition 3.1 and appendix A.1.

With S(u) = a_0 + sum over i of a_i cos(i pi u / L) + b_i sin(i pi u / L), f(x) is S(x) for -L + T <= x <= L - T, and
beyond an end of that interval the value at that end. All coefficients are constants, or all are trained with one scope:
one set for the whole layer, one a channel (in the paper a filter, or a node of a layer without places), or one a unit.
Trained ones start at the numbers of the sentence, or with the word `tanh` at the fit of tanh, see `fit_tanh`.

Constant harmonics behind the last that is not 0 are left out, so that equal functions are one program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from dslc.program.emit import PythonSource, SourceWriter, shapes_text
from dslc.program.emit_series import (
    BUILD_ARGUMENTS,
    SHARED,
    emit_class,
    scope_of,
    signed_sum,
    times,
    write_sum,
    write_trained_values,
)
from dslc.program.fit_tanh import fit_tanh
from dslc.program.graph import Graph, GraphBuilder, Node
from dslc.program.meaningless import unknown_name, wrong_children
from dslc.program.op_rules import AttributeValue
from dslc.program.op_tables.series import initial_values
from dslc.program.read_values import (
    VALUE_ALIASES,
    Value,
    check_one_kind,
    number_text,
    read_number,
    read_pair,
    read_value,
)
from dslc.program.targets import AliasSpec, BuildArgument, Built
from dslc.program.targets.activation import VALUES
from dslc.program.tree import Leaf, ParseTree

TANH = "tanh"
"""In place of a number: that coefficient of the fit of tanh."""
MOST_HARMONICS_WRITTEN = 8
"""A formula with more harmonics is not read."""
LONGEST_HARMONIC = 64
"""Letters of a harmonic that fits on a line with its name."""

ALIASES: Mapping[str, AliasSpec] = MappingProxyType(
    {
        "interval": AliasSpec("where the series holds: -L + T to L - T (eisenach2016)", ("half period L", "margin T")),
        "harmonic": AliasSpec("a_i cos(i pi u / L) + b_i sin(i pi u / L), i counted from 1", ("a_i", "b_i")),
        **VALUE_ALIASES,
    }
)
PARTS = ("`interval`", "the mean a_0", "one or more of `harmonic`")


@dataclass(frozen=True)
class Fourier:
    """The target `activation_fourier`."""

    name: str = "activation_fourier"
    class_name: str = "FourierActivation"
    builds: Built = Built.MODULE

    @property
    def aliases(self) -> Mapping[str, AliasSpec]:
        """The interval, harmonics and their coefficients."""
        return ALIASES

    @property
    def build_arguments(self) -> tuple[BuildArgument, ...]:
        """How many sets of coefficients are trained."""
        return BUILD_ARGUMENTS

    @property
    def example_arguments(self) -> Mapping[str, int | tuple[int, ...]]:
        """One set for everything."""
        return {"num_channels": 1, "spatial_shape": ()}

    def elaborate(self, tree: ParseTree) -> Graph:
        """The function that a tree means: its children are the interval, the mean and the harmonics in order.

        Raises:
            DslcError: DSLC403, DSLC404 or DSLC416 if a node is not of the target's form, DSLC417 if coefficients are of
                several kinds.
        """
        return _elaborate_series(tree)

    def write_formula(self, graph: Graph) -> str | None:
        """f(x) = ..., with the numbers where they are constants."""
        return _write_formula(graph)

    def plot_inputs(self, graph: Graph) -> tuple[float, float] | None:
        """The interval of the series and some of its tails."""
        half_period = _number(_series_of(graph), "half_period")
        return (-half_period - 1.0, half_period + 1.0)

    def emit(self, graph: Graph, class_name: str | None, sentence: str) -> PythonSource:
        """Source of a module with constructor `(num_channels=1, spatial_shape=())`.

        Raises:
            DslcError: DSLC502 if a class cannot have that name.
        """
        return _emit_series(graph, class_name or self.class_name, sentence)


TARGET = Fourier()


def _elaborate_series(tree: ParseTree) -> Graph:
    subtrees = [child for child in tree.children if isinstance(child, ParseTree)]
    if len(subtrees) < 3 or len(subtrees) != len(tree.children):
        raise wrong_children(TARGET.name, tree, PARTS)
    interval, first, *harmonics = subtrees
    half_period, margin = _read_interval(interval)
    values = [read_value(TARGET.name, first, (TANH,))]
    for harmonic in harmonics:
        if harmonic.name != "harmonic":
            raise unknown_name(TARGET.name, harmonic, ("harmonic",))
        values.extend(read_pair(TARGET.name, harmonic, ALIASES["harmonic"], TANH))
    fitted = fit_tanh(half_period, margin, len(harmonics)) if any(value.number is None for value in values) else ()
    values = [_resolve_word(value, place, fitted) for place, value in enumerate(values)]
    check_one_kind(tree, values)
    builder = GraphBuilder()
    x = builder.add_input("x", VALUES)
    attributes = {"half_period": half_period, "margin": margin, **_name_values(values)}
    place = (tree.start_token, tree.end_token)
    return builder.finish(builder.add("fourier", x, attributes=attributes, rule=tree.name, tokens=place))


def _read_interval(interval: ParseTree) -> tuple[float, float]:
    if interval.name != "interval":
        raise unknown_name(TARGET.name, interval, ("interval",))
    leaves = [child for child in interval.children if isinstance(child, Leaf)]
    if len(leaves) != 2 or len(interval.children) != 2:
        raise wrong_children(TARGET.name, interval, ALIASES["interval"].children)
    # A period of 0 has no harmonics; the smallest that is allowed is one for which pi / L is still a number.
    half_period = read_number(interval, leaves[0], "half a period L, a number above 0", low=1e-9)
    limit = number_text(half_period)
    return half_period, read_number(
        interval, leaves[1], f"a margin T, a number from 0 to L = {limit}", 0.0, half_period
    )


def _resolve_word(value: Value, place: int, fitted: tuple[float, ...]) -> Value:
    """The value with a number in place of `tanh`; place 0 is the mean, then cosine and sine in turn."""
    if value.number is not None:
        return value
    is_sine = place > 0 and place % 2 == 0
    return replace(value, number=fitted[place // 2 - 1] if is_sine else 0.0)


def _name_values(values: list[Value]) -> dict[str, AttributeValue]:
    """Attributes of the series, given its mean and then cosine and sine of each harmonic."""
    mean, *rest = (value.number for value in values if value.number is not None)
    cosines, sines = rest[::2], rest[1::2]
    scope = values[0].scope
    if scope is None:
        while cosines and not cosines[-1] and not sines[-1]:
            del cosines[-1], sines[-1]
        return {"mean": mean, "cosines": tuple(cosines), "sines": tuple(sines)}
    named: dict[str, AttributeValue] = {"initial_mean": mean}
    return {"scope": scope, **named, "initial_cosines": tuple(cosines), "initial_sines": tuple(sines)}


# --- source -----------------------------------------------------------------------------------------------------------


def _series_of(graph: Graph) -> Node:
    return graph.nodes[graph.outputs[0]]


def _number(node: Node, name: str) -> float:
    return float(str(node.attribute(name)))


def _coefficients(node: Node) -> tuple[float, tuple[float, ...], tuple[float, ...]]:
    """Mean, cosines and sines: the constants, or the values before training."""
    prefix, attributes = "initial_" if node.parameters else "", dict(node.attributes)
    mean = _number(node, f"{prefix}mean")
    return mean, initial_values(attributes, f"{prefix}cosines"), initial_values(attributes, f"{prefix}sines")


def _write_formula(graph: Graph) -> str | None:
    node = _series_of(graph)
    mean, cosines, sines = _coefficients(node)
    period = number_text(_number(node, "half_period"))
    end = number_text(_number(node, "half_period") - _number(node, "margin"))
    if node.parameters:
        order = "i " if len(cosines) > 1 else ""
        harmonics = f"a_i * cos({order}pi u / {period}) + b_i * sin({order}pi u / {period})"
        many = f"sum over i = 1 to {len(cosines)} of {harmonics}"
        series = f"a_0 + {many if order else harmonics.replace('_i', '_1')}"
    elif len(cosines) > MOST_HARMONICS_WRITTEN:
        return None
    else:
        terms = [number_text(mean)] if mean else []
        for i, (a, b) in enumerate(zip(cosines, sines, strict=True), start=1):
            angle = f"({f'{i} ' if i > 1 else ''}pi u / {period})"
            terms += [times(value, f"{name}{angle}") for value, name in ((a, "cos"), (b, "sin")) if value]
        series = signed_sum(terms)
    return f"f(x) = S(min(max(x, -{end}), {end})), S(u) = {series}"


def _emit_series(graph: Graph, class_name: str, sentence: str) -> PythonSource:
    node = _series_of(graph)
    mean, cosines, sines = _coefficients(node)
    end = number_text(_number(node, "half_period") - _number(node, "margin"))
    angle = f"torch.pi / {number_text(_number(node, 'half_period'))}"

    def write_forward(writer: SourceWriter) -> None:
        if not node.parameters and not any((*cosines, *sines)):
            writer.write(f"return torch.full_like(x, {mean!r})", node)
            return
        if node.parameters:
            write_trained_values(writer, node)
        writer.write(f"inside = torch.clamp(x, -{end}, {end})  # constant beyond that interval", node)
        if not node.parameters:
            writer.write(f"angle = {angle} * inside", node)
            write_sum(writer, _harmonics(cosines, sines), node, number_text(mean) if mean else "")
            return
        writer.write(f"orders = torch.arange(1, {len(cosines) + 1}, device=x.device).view(-1, *[1] * x.dim())", node)
        writer.write(f"angles = orders * ({angle} * inside)", node)
        names = {parameter.name: parameter.name for parameter in node.parameters}
        writer.write(f"return {node.spec.expression.format('x', angles='angles', **names)}", node)

    margin, half_period = _number(node, "margin"), _number(node, "half_period")
    is_tanh = bool(node.parameters) and any(sines) and sines == fit_tanh(half_period, margin, len(sines))
    comments = {"sines": f"The least-squares fit of tanh on [-{end}, {end}]."} if is_tanh else {}
    return emit_class(class_name, sentence, _docstring(graph, node, sentence), node, write_forward, comments)


def _harmonics(cosines: tuple[float, ...], sines: tuple[float, ...]) -> list[tuple[str, str]]:
    """Name and text of each constant harmonic that is not 0; one that is too long for a line is two terms."""
    harmonics: list[tuple[str, str]] = []
    for i, (a, b) in enumerate(zip(cosines, sines, strict=True), start=1):
        angle = f"{i} * angle" if i > 1 else "angle"
        waves = ((a, f"torch.cos({angle})"), (b, f"torch.sin({angle})"))
        texts = [times(value, wave) for value, wave in waves if value]
        if len(signed_sum(texts)) <= LONGEST_HARMONIC:
            harmonics += [(f"harmonic_{i}", signed_sum(texts))] if texts else []
        else:
            harmonics += [(f"cosine_{i}", texts[0]), (f"sine_{i}", texts[1])]
    return harmonics


def _docstring(graph: Graph, node: Node, sentence: str) -> tuple[str, list[tuple[str, str]]]:
    _, cosines, _ = _coefficients(node)
    count = f"{len(cosines)} harmonic{'s' if len(cosines) != 1 else ''}"
    summary = f"A Fourier series of {count} with constant tails, as an activation function."
    if not cosines:
        summary = "A constant as an activation function: a Fourier series without harmonics."
    formula = _write_formula(graph)
    details = [("Formula", formula)] if formula else []
    details += [("Sentence", sentence), ("Shapes", shapes_text(graph))]
    scope = scope_of(node)
    if scope is not None:
        details.append(("Trained", f"mean a_0, cosines a and sines b, {SHARED[scope]}."))
    details.append(("Source", "Eisenach, Wang and Liu 2016, definition 3.1 and appendix A.1."))
    return summary, details
