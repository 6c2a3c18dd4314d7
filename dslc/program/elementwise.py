"""Spaces whose programs are elementwise: what every token does to a stack of values, compiled once.

A program of such a space computes each element of its value from the same element of its inputs. Then a sentence is a
program of a stack machine, and thousands of them can be evaluated at once from their tokens alone: no tree and no graph
is made (`dslc.program.evaluate_batch`).

The target says what a node and a leaf of a tree are, as *forms*: in which order the children are computed, and which
instructions stand between them. Here the forms of all nodes that one choice of the automaton leaves are joined, so that
a choice (a slot and a token) has one form over the slots that it leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from dslc.automaton.classification import Part, PartRole, RuleKind
from dslc.automaton.lower import NO_CHOICE
from dslc.program.op_spec import OpSpec

if TYPE_CHECKING:
    from dslc.automaton.lower import Lowering
    from dslc.program.operations import Operation
    from dslc.program.targets import Target

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Input:
    """Push an argument of the program."""

    name: str


@dataclass(frozen=True, slots=True)
class Constant:
    """Push a number."""

    value: float


@dataclass(frozen=True, slots=True)
class Apply:
    """Replace the last values, as many as an op takes, by the op of them."""

    op: str
    operation: Operation | None = None
    """The definition, if it is one of a grammar's own ops."""

    @property
    def arity(self) -> int:
        """How many values it takes."""
        if self.operation is not None:
            return len(self.operation.parameters)
        arity = _ops()[self.op].arity
        assert arity is not None, "an elementwise op has a fixed number of inputs"
        return arity


Instruction = Input | Constant | Apply
Form = tuple[int | Instruction, ...]
"""What is done in order: an integer stands for all that its child does. `(0, 1, Apply("add"))` is a sum."""


@runtime_checkable
class ElementwiseTarget(Protocol):
    """A target that can say of each node by itself what it computes."""

    def node_form(self, name: str, rule: str, num_children: int, *, is_root: bool) -> Form | None:
        """The form of a node of a rule; None if one of that name and number of children needs more than a form."""

    def leaf_form(self, text: str) -> Form | None:
        """The form of a terminal that stands in the tree; None as there."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What one token does in one slot."""

    form: Form
    """Over the slots that it leaves, numbered from 0."""
    num_slots: int


@dataclass(frozen=True, eq=False)
class ElementwiseTables:
    """A space for the batched array path."""

    instructions: tuple[Instruction, ...]
    """All that occur; an instruction's number is its place. The last number, `pad_code`, does nothing."""
    arity: NDArray[np.int64]
    """[instruction + 1] values that it takes; 1 for `pad_code`, which so changes nothing."""
    input_names: tuple[str, ...]
    code_by_token: NDArray[np.int64] | None
    """[V + 1] the instruction of each token, where every choice of a token, in whatever slot, is one instruction behind
    the slots that it leaves: then a sentence is a program in prefix order. None where it is not."""
    cells: tuple[Choice | None, ...]
    """[slot * (V + 1) + token] the choices; the last is that of the start, which takes no token."""
    lowering: Lowering

    @property
    def pad_code(self) -> int:
        """Number of the instruction that fills up programs."""
        return len(self.instructions)


class NotElementwiseError(Exception):
    """Why a space cannot take the batched path, in one line for people."""


def compile_elementwise(lowering: Lowering, target: Target) -> ElementwiseTables:
    """The tables of a space.

    Raises:
        NotElementwiseError: with the reason, for a space whose programs need more than forms.
    """
    if not isinstance(target, ElementwiseTarget):
        raise NotElementwiseError(f"the target `{target.name}` builds no elementwise functions")
    if lowering.automaton.start_position == 0:
        raise NotElementwiseError("it has one sentence only")
    cells = _Joiner(lowering, target).join_choices()
    instructions = tuple(
        dict.fromkeys(item for cell in cells if cell for item in cell.form if not isinstance(item, int))
    )
    arity = [each.arity if isinstance(each, Apply) else 0 for each in instructions]
    inputs = tuple(each.name for each in instructions if isinstance(each, Input))
    width = lowering.automaton.num_tokens + 1
    codes = _find_prefix_codes(cells, instructions, width)
    return ElementwiseTables(instructions, np.array([*arity, 1]), inputs, codes, cells, lowering)


def instruction_meaning(instruction: Apply) -> Callable[..., Array]:
    """What an instruction computes, in numpy."""
    operation = instruction.operation
    if operation is None:
        return _ops()[instruction.op].meaning
    steps = [(step, None if step.value is not None else _ops()[step.op].meaning) for step in operation.steps]

    def meaning(*operands: Array) -> Array:
        values: list[Any] = list(operands)
        for step, function in steps:
            if function is None:
                values.append(np.float64(step.value))
            else:
                values.append(function(*(values[i] for i in step.operands)))
        return np.asarray(values[operation.result])

    return meaning


def _ops() -> Mapping[str, OpSpec]:
    from dslc.program.ops import OPS  # imported late, as plug-ins add ops

    return OPS


def _find_prefix_codes(
    cells: Sequence[Choice | None], instructions: Sequence[Instruction], width: int
) -> NDArray[np.int64] | None:
    numbers = {instruction: number for number, instruction in enumerate(instructions)}
    codes = np.full(width, len(instructions), np.int64)
    start = cells[-1]
    if start is None or start.form != (0,):
        return None
    for place, cell in enumerate(cells[:-1]):
        if cell is None:
            continue
        *before, last = cell.form if cell.form else (0,)
        if before != list(range(cell.num_slots)) or isinstance(last, int):
            return None
        arity = last.arity if isinstance(last, Apply) else 0
        token = place % width
        if arity != cell.num_slots or codes[token] not in (len(instructions), numbers[last]):
            return None
        codes[token] = numbers[last]
    return codes


# --- joining the forms of nodes --------------------------------------------------------------------------------------

Fragments = list[Form]
"""The children that a symbol leaves, each with its form."""


class _Joiner:
    """Follows what decoding does where each token is taken, with forms for values."""

    def __init__(self, lowering: Lowering, target: ElementwiseTarget) -> None:
        self.lowering, self.target = lowering, target
        self.classification, self.tables = lowering.classification, lowering.decoding

    def join_choices(self) -> tuple[Choice | None, ...]:
        automaton = self.lowering.automaton
        width = automaton.num_tokens + 1
        cells: list[Choice | None] = [None] * len(automaton.extra)
        found: dict[tuple[int, int], Choice] = {}
        for slot, name in enumerate(automaton.slot_names):
            symbol = self._symbol_of(name)
            for token in range(width - 1):
                if automaton.extra[slot * width + token] >= NO_CHOICE:
                    continue
                if (symbol, token) not in found:
                    found[symbol, token] = self._join(symbol, token)
                cells[slot * width + token] = found[symbol, token]
        return (*cells, self._join(self.classification.start, None))

    def _symbol_of(self, slot_name: str) -> int:
        """The terminal or part that a slot is; slots that constraints split keep the name."""
        names = self.classification.terminal_names
        if slot_name in names:
            return names.index(slot_name)
        for number, part in enumerate(self.classification.parts):
            if part.name == slot_name and part.kind is not RuleKind.SPLICED:
                return len(names) + number
        raise NotElementwiseError(f"the slot `{slot_name}` is no rule of the grammar")

    def _join(self, symbol: int, token: int | None) -> Choice:
        walk = _Walk(self, token)
        walk.fill(symbol)
        fragments = [fragment for value in walk.values for fragment in value]
        is_tail = symbol >= self.classification.num_terminals and self._part(symbol).role is PartRole.MORE
        if len(fragments) != 1 and not (is_tail and not fragments):
            name = "the start" if token is None else f"the token `{self.lowering.automaton.vocabulary[token].label}`"
            raise NotElementwiseError(f"{name} leaves {len(fragments)} values, not one")
        return Choice(fragments[0] if fragments else (), walk.num_slots)

    def _part(self, symbol: int) -> Part:
        return self.classification.parts[symbol - self.classification.num_terminals]


class _Walk:
    """Decoding of one choice: its own actions, with the slots that it leaves as unknown values."""

    def __init__(self, joiner: _Joiner, token: int | None) -> None:
        self.joiner = joiner
        self.classification, self.tables = joiner.classification, joiner.tables
        self.token = token
        self.has_token = token is not None
        self.values: list[Fragments] = []
        self.num_slots = 0

    def fill(self, symbol: int) -> None:
        """Does all actions of a symbol; the token goes to the first slot or literal, later ones are left open."""
        pending = [symbol]
        while pending:
            symbol = pending.pop()
            if symbol < 0:
                self._reduce(-1 - symbol)
            elif symbol < self.classification.num_terminals:
                self._add_terminal(symbol)
            else:
                pending.extend(self._open(symbol)[::-1])

    def _open(self, symbol: int) -> tuple[int, ...]:
        number = symbol - self.classification.num_terminals
        part = self.classification.parts[number]
        if part.kind is RuleKind.SPLICED:
            return part.options[0].actions
        if self.has_token:
            assert self.token is not None
            self.has_token = not self.tables.opening_by_token[number][self.token].takes_token
            return part.options[part.option_by_token[self.token]].actions
        self._leave_slot(part)
        return ()

    def _leave_slot(self, part: Part) -> None:
        slot, self.num_slots = self.num_slots, self.num_slots + 1
        if part.role is not PartRole.MORE:
            self.values.append([(slot,)])
            return
        # The tail of a list goes on with what is there. Its effect on the values is that of its stop.
        if not self.values:
            self.values.append([()])
        stop = next(option for option in part.options if not any(action >= 0 for action in option.actions))
        for action in stop.actions:
            self._reduce(-1 - action, is_done_by_slot=True)
        if len(self.values[-1]) != 1:
            raise NotElementwiseError(f"the list `{part.rule}` is no single value")
        self.values[-1] = [(*self.values[-1][0], slot)]

    def _add_terminal(self, terminal: int) -> None:
        literal = self.tables.forced_literal[terminal]
        if self.has_token:
            assert self.token is not None
            self.has_token = False
            literal = self.tables.literal_by_token[self.token][1]
        if literal is None:
            slot, self.num_slots = self.num_slots, self.num_slots + 1
            self.values.append([(slot,)])
            return
        printed = self.tables.printed[literal]
        if not printed.is_kept:
            self.values.append([])
            return
        form = self.joiner.target.leaf_form(printed.text)
        if form is None:
            raise NotElementwiseError(f"the literal `{printed.text}` is no value")
        self.values.append([form])

    def _reduce(self, number: int, *, is_done_by_slot: bool = False) -> None:
        shape = self.tables.node_shapes[number]
        below = shape.num_symbols - len(self.values)
        if below > 0:
            # What a list has read before stands below, already computed; it must come first, in order.
            self.values[:0] = [[()] for _ in range(below)]
        begin = len(self.values) - shape.num_symbols
        taken, self.values[begin:] = self.values[begin:], []
        if any(shape.nones):
            raise NotElementwiseError(f"an absent `[...]` of `{shape.rule}` is no value")
        children = [child for keep, value in zip(shape.keeps, taken, strict=True) for child in (value if keep else ())]
        if shape.is_transparent or (shape.is_expanded and len(children) == 1):
            self.values.append(children)
            return
        if is_done_by_slot:
            self.values.append([tuple(item for child in children for item in child)])
            return
        is_root = self.classification.reductions[number].rule == self.joiner.lowering.facts.start
        form = self.joiner.target.node_form(shape.name, shape.rule, len(children), is_root=is_root)
        if form is None:
            raise NotElementwiseError(f"`{shape.name}` needs more than its values")
        joined: list[int | Instruction] = []
        for item in form:
            joined.extend(children[item] if isinstance(item, int) else (item,))
        order = [item for item in form if isinstance(item, int)]
        if below > 0 and order[:below] != list(range(below)):
            raise NotElementwiseError(f"the list `{shape.rule}` computes its items in another order than they stand")
        if sorted(order) != list(range(len(children))):
            raise NotElementwiseError(f"`{shape.name}` uses a value twice or not at all")
        self.values.append([tuple(joined)])
