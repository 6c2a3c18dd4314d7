"""What the source of piecewise-linear and of Fourier activations shares: the class, its trained tensors, long sums."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from dslc.program.emit import LINE_LENGTH, Namespace, PythonSource, SourceWriter, check_class_name, write_imports
from dslc.program.graph import Node
from dslc.program.op_rules import Draw, Parameter, Scope, Spread
from dslc.program.read_values import number_text
from dslc.program.targets import BuildArgument

BUILD_ARGUMENTS = (
    BuildArgument("num_channels", "channels of x, or 1 for one value of each trained number in all channels", 1),
    BuildArgument(
        "spatial_shape", "sizes of the axes of x after the channels, where each unit has values of its own", ()
    ),
)
SHARED: dict[Scope, str] = {
    Scope.LAYER: "one set for all channels and places",
    Scope.CHANNEL: "one set a channel; num_channels=1 fits any shape",
    Scope.UNIT: "one set a unit, which is a place in [num_channels, *spatial_shape]; the defaults fit any shape",
}
UNUSED: dict[Scope | None, str] = {
    None: "del num_channels, spatial_shape  # the same function everywhere",
    Scope.LAYER: "del num_channels, spatial_shape  # one set of values for all",
    Scope.CHANNEL: "del spatial_shape  # one set of values a channel",
}


def scope_of(node: Node | None) -> Scope | None:
    """Scope of a node's trained tensors; None where nothing is trained."""
    return None if node is None or not node.parameters else Scope(str(node.attribute("scope")))


def emit_class(
    class_name: str,
    sentence: str,
    docstring: tuple[str, Iterable[tuple[str, str]]],
    node: Node | None,
    write_forward: Callable[[SourceWriter], None],
    comments: dict[str, str] | None = None,
) -> PythonSource:
    """Source of a module with constructor `(num_channels=1, spatial_shape=())`.

    Args:
        class_name: its name.
        sentence: for the record.
        docstring: its summary and named details.
        node: the node that may have trained tensors.
        write_forward: writes the lines inside `forward`.
        comments: what to say above the initial value of a trained tensor, by its name.

    Raises:
        DslcError: DSLC502 if a class cannot have that name.
    """
    check_class_name(class_name)
    writer = SourceWriter()
    write_imports(writer, uses_torch=True)
    writer.write(f"class {class_name}(nn.Module):")
    with writer.indented():
        writer.write_docstring(*docstring)
        writer.write()
        _write_constructor(writer, node, comments or {})
        writer.write()
        writer.write("def forward(self, x: Tensor) -> Tensor:")
        with writer.indented():
            write_forward(writer)
    return writer.finish(class_name, sentence)


def _write_constructor(writer: SourceWriter, node: Node | None, comments: dict[str, str]) -> None:
    scope = scope_of(node)
    writer.write("def __init__(")
    with writer.indented():
        for argument in ("self", "num_channels: int = 1", "spatial_shape: tuple[int, ...] = ()"):
            writer.write(f"{argument},")
    writer.write(") -> None:")
    with writer.indented():
        writer.write("super().__init__()")
        if scope is Scope.UNIT:
            writer.write("unit_shape = (num_channels, *spatial_shape)")
            initials = [parameter.initial for parameter in node.parameters] if node is not None else []
            if any(isinstance(initial, tuple) and any(initial) for initial in initials):
                writer.write("per_unit = (-1, *[1] * len(unit_shape))")
        else:
            writer.write(UNUSED[scope])
        if node is not None and scope is not None:
            for parameter in node.parameters:
                if parameter.name in comments:
                    writer.write(f"# {comments[parameter.name]}")
                _write_parameter(writer, node, parameter, scope)


def _write_parameter(writer: SourceWriter, node: Node, parameter: Parameter, scope: Scope) -> None:
    """Lines that make one trained tensor, its terms on axis 0."""
    name, initial = parameter.name, parameter.initial
    sizes = {Scope.LAYER: "", Scope.CHANNEL: "num_channels", Scope.UNIT: "*unit_shape"}[scope]
    if isinstance(initial, tuple):
        shape = f"{len(initial)}, {sizes}".removesuffix(", ")
        if not any(initial):
            writer.write(f"self.{name} = nn.Parameter(torch.zeros({shape}))", node)
            return
        _write_tensor(writer, name, initial, node)
        # The terms stand on axis 0, what shares them on the axes behind it.
        ones = {Scope.LAYER: "", Scope.CHANNEL: "-1, 1", Scope.UNIT: "per_unit"}[scope]
        value = f"{name}.view({ones}).repeat(1, {sizes})" if ones else name
        writer.write(f"self.{name} = nn.Parameter({value})", node)
    elif isinstance(initial, Draw):
        shape = f"{parameter.shape.shape[0]}, {sizes}".removesuffix(", ")
        width = number_text(initial.width)
        draw = f"uniform_(-{width}, {width})" if initial.spread is Spread.UNIFORM else f"normal_(std={width})"
        writer.write(f"self.{name} = nn.Parameter(torch.empty({shape}).{draw})", node)
    else:
        assert initial is not None, "trained numbers of a sentence have initial values"
        shape = {Scope.LAYER: "()", Scope.CHANNEL: "(num_channels,)", Scope.UNIT: "unit_shape"}[scope]
        writer.write(f"self.{name} = nn.Parameter(torch.full({shape}, {initial!r}))", node)


def _write_tensor(writer: SourceWriter, name: str, numbers: Sequence[float], node: Node) -> None:
    line = f"{name} = torch.tensor([{', '.join(map(repr, numbers))}])"
    if len(line) <= LINE_LENGTH - 8:  # inside a method of a class
        writer.write(line, node)
        return
    writer.write(f"{name} = torch.tensor(", node)
    with writer.indented():
        writer.write("[", node)
        with writer.indented():
            for number in numbers:
                writer.write(f"{number!r},", node)
        writer.write("]", node)
    writer.write(")", node)


def write_trained_values(writer: SourceWriter, node: Node) -> None:
    """Lines of `forward` that give every trained tensor a shape in which it acts on x, under its own name.

    The terms stand on an axis in front of those of x; a tensor without terms, such as a mean, has only the latter.
    """
    scope = scope_of(node)
    has_terms = {parameter.name: isinstance(parameter.initial, tuple | Draw) for parameter in node.parameters}
    match scope:
        case Scope.LAYER:
            each, shape = "", "-1, *[1] * x.dim()"
        case Scope.CHANNEL:
            each, shape = "per_channel", "-1, *per_channel"
            num_terms = next(p.shape.shape[0] for p in node.parameters if has_terms[p.name])
            shape = f"{num_terms}, *per_channel"
            writer.write("# Channels are axis 1, or the only axis.")
            writer.write("per_channel = (1, -1, *[1] * (x.dim() - 2))[-x.dim() :]", node)
        case _:
            each, shape = "", "-1, *per_unit"
            first = next(name for name, is_sum in has_terms.items() if is_sum)
            writer.write("# A unit is a place in the last axes.")
            writer.write(f"unit_shape = self.{first}.shape[1:]", node)
            writer.write("per_unit = (*[1] * (x.dim() - len(unit_shape)), *unit_shape)", node)
    for name, is_sum in has_terms.items():
        if is_sum:
            writer.write(f"{name} = self.{name}.view({shape})", node)
        else:
            writer.write(f"{name} = self.{name}" + (f".view({each})" if each else ""), node)


def write_sum(writer: SourceWriter, terms: Sequence[tuple[str, str]], node: Node, first: str = "") -> None:
    """Lines that name every term and return their sum; a sum too long for a line is named in parts.

    Args:
        writer: inside `forward`.
        terms: name and text of each.
        node: what they belong to.
        first: a term that needs no name and stands in front of the others.
    """
    if len(terms) == 1 and not first:
        writer.write(f"return {terms[0][1]}", node)
        return
    names = Namespace(["x", *(name for name, _ in terms)])
    total = first
    for name, text in terms:
        writer.write(f"{name} = {text}", node)
    for name, _ in terms:
        longer = f"{total} + {name}" if total else name
        if len(f"{'':8}total_99 = {longer}") > LINE_LENGTH:
            part = names.create("total")
            writer.write(f"{part} = {total}", node)
            longer = f"{part} + {name}"
        total = longer
    writer.write(f"return {total}", node)


def signed_sum(terms: Sequence[str]) -> str:
    """Terms joined for people: a leading minus becomes a subtraction.

    Example:
        >>> signed_sum(["x", "-2 * y", "z"]), signed_sum([])
        ('x - 2 * y + z', '0')
    """
    text = terms[0] if terms else "0"
    for term in terms[1:]:
        text += f" - {term[1:]}" if term.startswith("-") else f" + {term}"
    return text


def times(number: float, text: str) -> str:
    """`number * text`, without a factor of 1.

    Example:
        >>> times(1.0, "y"), times(-1.0, "y"), times(0.2, "y")
        ('y', '-y', '0.2 * y')
    """
    return {1.0: text, -1.0: f"-{text}"}.get(number, f"{number_text(number)} * {text}")
