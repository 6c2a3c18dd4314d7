"""Source of a recurrent cell and of the layer that runs it over sequences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from dslc.program.emit import LINE_LENGTH, PythonSource, SourceWriter, check_class_name, write_imports
from dslc.program.graph import INPUT, Graph, Node
from dslc.program.op_spec import Call

STATE = "tuple[Tensor, Tensor]"


def layer_name(class_name: str) -> str:
    """Name of the class over sequences that is emitted beside a cell of that name.

    Example:
        >>> layer_name("RecurrentCell"), layer_name("Best")
        ('RecurrentLayer', 'BestLayer')
    """
    return class_name.removesuffix("Cell") + "Layer"


def emit_cell(graph: Graph, class_name: str, sentence: str) -> PythonSource:
    """Two classes: one step, called like nn.LSTMCell, and a whole sequence, called like nn.LSTM.

    The input of all leaves is multiplied at once, for all steps of a sequence at once, and so is h at each step.

    Raises:
        DslcError: DSLC502 if a class cannot have that name.
    """
    check_class_name(class_name)
    pairs = tuple(_read_pairs(graph))
    writer = SourceWriter()
    write_imports(writer, uses_torch=True)
    _write_cell(writer, graph, pairs, class_name, sentence)
    writer.write()
    writer.write()
    _write_layer(writer, pairs, class_name)
    return writer.finish(class_name, sentence)


@dataclass(frozen=True, slots=True)
class _Pair:
    """A combination and its activation: a node of the tree, or the memory that joins one."""

    combination: Node
    activation: Node
    name: str
    """What the value is called."""
    leaf: int | None
    """Number of the leaf; None for all else."""
    is_inject: bool
    """Whether it is the memory that joins the value of the pair before it."""

    @property
    def is_identity(self) -> bool:
        return self.activation.op == "identity"


def _read_pairs(graph: Graph) -> Iterator[_Pair]:
    """The pairs in the order in which they are computed; every combination stands before its activation."""
    memory = next(node.id for node in graph.inputs if node.attribute("name") == "c")
    number = 0
    name = ""
    for node in graph.nodes:
        if node.op == INPUT or node.spec.arity != 2:
            continue
        activation = graph.nodes[node.id + 1]
        leaf = number if graph.nodes[node.inputs[0]].op == "project" else None
        is_inject = memory in node.inputs
        if is_inject:
            name += "_with_c"
        else:
            name = f"node_{number}" if leaf is None else f"leaf_{number}"
            number += 1
        is_root = activation.id == graph.outputs[0]
        yield _Pair(node, activation, "next_h" if is_root else name, leaf, is_inject)


# --- the cell ---------------------------------------------------------------------------------------------------------


def _write_cell(writer: SourceWriter, graph: Graph, pairs: tuple[_Pair, ...], class_name: str, sentence: str) -> None:
    num_leaves = sum(pair.leaf is not None for pair in pairs)
    writer.write(f"class {class_name}(nn.Module):")
    with writer.indented():
        _write_docstring(writer, graph, pairs, sentence)
        writer.write()
        _write_constructor(writer, pairs, num_leaves)
        writer.write()
        _write_reset(writer)
        writer.write()
        _write_forward(writer, pairs)
        writer.write()
        _write_step(writer, graph, pairs, num_leaves)


def _write_docstring(writer: SourceWriter, graph: Graph, pairs: tuple[_Pair, ...], sentence: str) -> None:
    leaves = sum(pair.leaf is not None for pair in pairs)
    count = f"{leaves} leaves" if leaves > 1 else "one leaf"
    nodes = [pair.combination.id for pair in pairs if not pair.is_inject]
    source = nodes.index(graph.outputs[1])
    entry = next(place for place, pair in enumerate(pairs) if pair.is_inject) - 1
    writer.write_docstring(
        f"A recurrent cell, a tree of {count}, called like nn.LSTMCell.",
        [
            ("Sentence", sentence),
            (
                "Shapes",
                "input [batch, input_size], state (h, c) [batch, hidden_size] each, zeros if None, to the next (h, c); "
                "or all of them without batch.",
            ),
            (
                "Weights",
                "leaf k has rows k * hidden_size to (k + 1) * hidden_size of weight_ih and of weight_hh; all start "
                "uniform in +-1 / sqrt(hidden_size), as in nn.LSTMCell. bias=True adds bias_ih and bias_hh, which the "
                "paper has not.",
            ),
            (
                "Memory",
                f"c enters at node {entry}; the next c is the value of node {source} before its activation.",
            ),
            ("Source", "Zoph and Le 2017, arXiv 1611.01578, section 3.4."),
        ],
    )


def _write_constructor(writer: SourceWriter, pairs: tuple[_Pair, ...], num_leaves: int) -> None:
    leaves = _all_leaves(pairs)
    rows = f"{num_leaves} * hidden_size" if num_leaves > 1 else "hidden_size"
    writer.write("def __init__(")
    with writer.indented():
        for argument in (
            "self",
            "input_size: int",
            "hidden_size: int",
            "bias: bool = False",
            "device: torch.device | str | None = None",
            "dtype: torch.dtype | None = None",
        ):
            writer.write(f"{argument},")
    writer.write(") -> None:")
    with writer.indented():
        writer.write("super().__init__()")
        writer.write("self.hidden_size = hidden_size")
        writer.write(f"rows = {rows}")
        writer.write("weight = torch.empty(rows, input_size, device=device, dtype=dtype)", leaves)
        writer.write("self.weight_ih = nn.Parameter(weight)", leaves)
        writer.write("self.weight_hh = nn.Parameter(weight.new_empty(rows, hidden_size))", leaves)
        writer.write("if bias:")
        with writer.indented():
            writer.write("self.bias_ih = nn.Parameter(weight.new_empty(rows))", leaves)
            writer.write("self.bias_hh = nn.Parameter(weight.new_empty(rows))", leaves)
        writer.write("else:")
        with writer.indented():
            writer.write('self.register_parameter("bias_ih", None)')
            writer.write('self.register_parameter("bias_hh", None)')
        writer.write("self.reset_parameters()")


def _write_reset(writer: SourceWriter) -> None:
    writer.write("def reset_parameters(self) -> None:")
    with writer.indented():
        writer.write('"""Draw everything uniformly from +-1 / sqrt(hidden_size)."""')
        writer.write("bound = self.hidden_size**-0.5")
        writer.write("for parameter in self.parameters():")
        with writer.indented():
            writer.write("nn.init.uniform_(parameter, -bound, bound)")


def _write_forward(writer: SourceWriter, pairs: tuple[_Pair, ...]) -> None:
    writer.write("def forward(")
    with writer.indented():
        writer.write("self,")
        writer.write("input: Tensor,")
        writer.write(f"state: {STATE} | None = None,")
    writer.write(f") -> {STATE}:")
    with writer.indented():
        writer.write('"""Compute the next h and c."""')
        writer.write("if state is None:")
        with writer.indented():
            writer.write("zeros = input.new_zeros(*input.shape[:-1], self.hidden_size)")
            writer.write("state = (zeros, zeros)")
        call = Call("nn.functional.linear", ("input", "self.weight_ih", "self.bias_ih"))
        writer.write_call("from_input = ", call, node=_all_leaves(pairs))
        writer.write("return self.step(from_input, state)")


def _all_leaves(pairs: tuple[_Pair, ...]) -> Node:
    """A node that stands for the products of all leaves."""
    leaves = [pair.combination for pair in pairs if pair.leaf is not None]
    return replace(leaves[0], tokens=(leaves[0].tokens[0], leaves[-1].tokens[1]))


def _write_step(writer: SourceWriter, graph: Graph, pairs: tuple[_Pair, ...], num_leaves: int) -> None:
    writer.write("def step(")
    with writer.indented():
        writer.write("self,")
        writer.write("from_input: Tensor,")
        writer.write(f"state: {STATE},")
    writer.write(f") -> {STATE}:")
    with writer.indented():
        writer.write('"""Compute the next h and c from the product of the input with weight_ih."""')
        writer.write("h, c = state")
        call = Call("nn.functional.linear", ("h", "self.weight_hh", "self.bias_hh"))
        writer.write_call("from_h = ", call, node=_all_leaves(pairs))
        names = {node.id: str(node.attribute("name")) for node in graph.inputs}
        leaves = {pair.combination.spec.expression for pair in pairs if pair.leaf is not None}
        split = f".chunk({num_leaves}, dim=-1)"
        if len(leaves) == 1 and num_leaves > 1:
            # One combination for all leaves is done on all at once.
            (template,) = leaves
            text = template.format("from_input", "from_h")
            is_call = text.endswith(")") and text.startswith("torch.")
            writer.write(f"combined = {text if is_call else f'({text})'}{split}", _all_leaves(pairs))
            names |= {pair.combination.id: f"combined[{pair.leaf}]" for pair in pairs if pair.leaf is not None}
        elif num_leaves > 1:
            writer.write(f"x_part = from_input{split}")
            writer.write(f"h_part = from_h{split}")
        for pair in pairs:
            if pair.leaf is not None:
                parts = (f"x_part[{pair.leaf}]", f"h_part[{pair.leaf}]") if num_leaves > 1 else ("from_input", "from_h")
                names |= dict(zip(pair.combination.inputs, parts, strict=True))
            _write_pair(writer, graph, pair, names)
        writer.write(f"return {names[graph.outputs[0]]}, {names[graph.outputs[1]]}", pairs[-1].activation)


def _write_pair(writer: SourceWriter, graph: Graph, pair: _Pair, names: dict[int, str]) -> None:
    """One line for a node of the tree, two where its value before the activation has a use or a name of its own."""
    before, after = pair.combination, pair.activation
    is_memory = before.id == graph.outputs[1]
    text = names.get(before.id) or before.spec.expression.format(*(names[i] for i in before.inputs))
    if is_memory:
        writer.write(f"next_c = {text}", before)
        names[before.id] = text = "next_c"
    is_named = is_memory or before.id in names
    if pair.is_identity and is_named:
        names[after.id] = text
        return
    line = f"{pair.name} = {after.spec.expression.format(text)}"
    can_nest = is_named or pair.is_identity or "({0})" in after.spec.expression
    if not can_nest or len(f"        {line}") > LINE_LENGTH:
        # The activation's formula would need brackets of its own, or a second line.
        name = f"{pair.name}_{before.spec.value_name}"
        writer.write(f"{name} = {text}", before)
        line = f"{pair.name} = {after.spec.expression.format(name)}"
    writer.write(line, before)
    names[after.id] = pair.name


# --- the layer --------------------------------------------------------------------------------------------------------


def _write_layer(writer: SourceWriter, pairs: tuple[_Pair, ...], class_name: str) -> None:
    writer.write(f"class {layer_name(class_name)}(nn.Module):")
    with writer.indented():
        writer.write_docstring(
            f"{class_name} over whole sequences, called like an nn.LSTM of one layer.",
            [
                (
                    "Shapes",
                    "input [time, batch, input_size], or [batch, time, input_size] with batch_first, state (h, c) "
                    "[1, batch, hidden_size] each, zeros if None, to every step's h, in the order of the input's axes, "
                    "and the last (h, c); or all of them without batch.",
                ),
            ],
        )
        writer.write()
        writer.write("def __init__(")
        with writer.indented():
            for argument in (
                "self",
                "input_size: int",
                "hidden_size: int",
                "*",
                "bias: bool = False",
                "batch_first: bool = False",
                "device: torch.device | str | None = None",
                "dtype: torch.dtype | None = None",
            ):
                writer.write(f"{argument},")
        writer.write(") -> None:")
        with writer.indented():
            writer.write("super().__init__()")
            writer.write("self.batch_first = batch_first")
            arguments = ("input_size", "hidden_size", "bias", "device", "dtype")
            writer.write_call("self.cell = ", Call(class_name, arguments))
        writer.write()
        writer.write("def forward(")
        with writer.indented():
            writer.write("self,")
            writer.write("input: Tensor,")
            writer.write(f"state: {STATE} | None = None,")
        writer.write(f") -> tuple[Tensor, {STATE}]:")
        with writer.indented():
            _write_layer_forward(writer, pairs)


def _write_layer_forward(writer: SourceWriter, pairs: tuple[_Pair, ...]) -> None:
    writer.write('"""Compute every h, and the last c."""')
    writer.write("cell = self.cell")
    writer.write("time = 1 if self.batch_first and input.dim() == 3 else 0")
    writer.write("# One product for all steps: only h has to be waited for.")
    call = Call("nn.functional.linear", ("input", "cell.weight_ih", "cell.bias_ih"))
    writer.write_call("from_input = ", call, node=_all_leaves(pairs))
    writer.write("steps = from_input.unbind(time)")
    writer.write("if state is None:")
    with writer.indented():
        writer.write("h = c = input.new_zeros(*steps[0].shape[:-1], cell.hidden_size)")
    writer.write("else:")
    with writer.indented():
        writer.write("h, c = state[0].squeeze(0), state[1].squeeze(0)")
    writer.write("outputs = []")
    writer.write("for step in steps:")
    with writer.indented():
        writer.write("h, c = cell.step(step, (h, c))")
        writer.write("outputs.append(h)")
    writer.write("return torch.stack(outputs, time), (h.unsqueeze(0), c.unsqueeze(0))")
