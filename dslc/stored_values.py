"""Values as plain JSON, from what their classes declare: frozen dataclasses, enums, tuples, dictionaries, numpy arrays.

Nothing is executed and no class is named that the reader does not expect, unlike pickle. A value becomes a flat list of
objects, each after those that it holds, so neither the depth of a grammar nor of a file is a limit; an object that
several hold is written once and is one object again when read. What is read is held to the declared types.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

MAX_PLAIN_INTEGER = 2**53
"""Whole numbers from here on are written as decimal strings: many readers of JSON keep no more than this of them."""
MAX_DIGITS = 4000
"""Most digits of a whole number."""

Array = NDArray[Any]


class StoredValueError(ValueError):
    """What is read is not what the declared types say."""


@dataclass(frozen=True, slots=True)
class StoredValues:
    """A value as JSON can hold it, and the arrays beside it."""

    objects: list[list[Any]]
    """Class name and fields of each object, in the order of the declaration; the last one is the value itself."""
    arrays: list[Array]


class _Writer:
    """Numbers objects and arrays; what an object holds and has no number yet is noted."""

    def __init__(self) -> None:
        # Keyed by identity: what is written holds every object, so that no identity is given to another meanwhile.
        self.number: dict[int, int] = {}
        self.array_number: dict[int, int] = {}
        self.missing: list[Any] = []
        self.objects: list[list[Any]] = []
        self.arrays: list[Array] = []

    def refer(self, value: Any) -> int:
        number = self.number.get(id(value))
        if number is None:
            self.missing.append(value)
            return -1
        return number

    def refer_array(self, value: Array) -> int:
        number = self.array_number.setdefault(id(value), len(self.arrays))
        if number == len(self.arrays):
            self.arrays.append(value)
        return number


class _Reader:
    """Objects and arrays that are read already."""

    def __init__(self, arrays: Sequence[Array]) -> None:
        self.objects: list[Any] = []
        self.arrays = arrays


class _Form(ABC):
    """How values of one declared type are written and read."""

    @abstractmethod
    def write(self, value: Any, writer: _Writer) -> Any:
        """The value as JSON."""

    @abstractmethod
    def read(self, stored: Any, reader: _Reader) -> Any:
        """The value again; StoredValueError if it is none of this type."""


class _Whole(_Form):
    def write(self, value: Any, writer: _Writer) -> Any:  # noqa: ARG002 - all forms are called alike
        number = int(value)
        return number if abs(number) < MAX_PLAIN_INTEGER else str(number)

    def read(self, stored: Any, reader: _Reader) -> int:  # noqa: ARG002
        if type(stored) is int:
            return stored
        if isinstance(stored, str) and len(stored) <= MAX_DIGITS and stored.removeprefix("-").isdecimal():
            return int(stored)
        raise StoredValueError(f"{_show(stored)} is no whole number")


class _Real(_Form):
    def write(self, value: Any, writer: _Writer) -> Any:  # noqa: ARG002
        assert math.isfinite(value), "a number of a grammar is finite"
        return float(value)

    def read(self, stored: Any, reader: _Reader) -> float:  # noqa: ARG002
        if type(stored) is float and math.isfinite(stored):
            return stored
        raise StoredValueError(f"{_show(stored)} is no number")


class _Exactly(_Form):
    """Texts, truth values and None, which JSON has too."""

    def __init__(self, kind: type) -> None:
        self.kind = kind

    def write(self, value: Any, writer: _Writer) -> Any:  # noqa: ARG002
        assert type(value) is self.kind, f"{value!r} is declared to be {self.kind.__name__}"
        return value

    def read(self, stored: Any, reader: _Reader) -> Any:  # noqa: ARG002
        if type(stored) is self.kind:
            return stored
        raise StoredValueError(f"{_show(stored)} is not {self.kind.__name__}")


class _Member(_Form):
    """A member of an enum, by its value."""

    def __init__(self, kind: type[Enum]) -> None:
        self.kind = kind

    def write(self, value: Any, writer: _Writer) -> Any:  # noqa: ARG002
        assert isinstance(value, self.kind), f"{value!r} is declared to be {self.kind.__name__}"
        return value.value

    def read(self, stored: Any, reader: _Reader) -> Enum:  # noqa: ARG002
        try:
            return self.kind(stored)
        except ValueError:
            raise StoredValueError(f"{_show(stored)} is no {self.kind.__name__}") from None


class _Many(_Form):
    """`tuple[X, ...]`, `list[X]` and `frozenset[X]` as lists, the last one sorted: equal spaces make equal files."""

    def __init__(self, make: Callable[[Iterable[Any]], Any], item: _Form) -> None:
        self.make = make
        self.item = item

    def write(self, value: Any, writer: _Writer) -> Any:
        items = sorted(value) if self.make is frozenset else value
        return [self.item.write(item, writer) for item in items]

    def read(self, stored: Any, reader: _Reader) -> Any:
        read = self.item.read
        return self.make([read(item, reader) for item in _list(stored)])


class _Several(_Form):
    """`tuple[A, B]`: so many, each of its own type."""

    def __init__(self, items: Sequence[_Form]) -> None:
        self.items = items

    def write(self, value: Any, writer: _Writer) -> Any:
        return [form.write(item, writer) for form, item in zip(self.items, value, strict=True)]

    def read(self, stored: Any, reader: _Reader) -> Any:
        if len(_list(stored)) != len(self.items):
            raise StoredValueError(f"{len(stored)} values stand where {len(self.items)} belong")
        return tuple(form.read(item, reader) for form, item in zip(self.items, stored, strict=True))


class _Pairs(_Form):
    """A dictionary as pairs in its order: JSON's keys are texts only."""

    def __init__(self, key: _Form, item: _Form) -> None:
        self.pair = _Several((key, item))

    def write(self, value: Any, writer: _Writer) -> Any:
        return [self.pair.write(pair, writer) for pair in value.items()]

    def read(self, stored: Any, reader: _Reader) -> Any:
        return dict(self.pair.read(pair, reader) for pair in _list(stored))


class _Table(_Form):
    """A numpy array, by its number."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype

    def write(self, value: Any, writer: _Writer) -> Any:
        assert value.dtype == self.dtype, f"an array of {value.dtype} is declared to be of {self.dtype}"
        return writer.refer_array(value)

    def read(self, stored: Any, reader: _Reader) -> Any:
        if type(stored) is not int or not 0 <= stored < len(reader.arrays):
            raise StoredValueError(f"there is no array {_show(stored)}")
        array = reader.arrays[stored]
        if array.dtype != self.dtype:
            raise StoredValueError(f"array {stored} holds {array.dtype}, not {self.dtype}")
        return array


class _Object(_Form):
    """A dataclass, or one of several, by the number of the object."""

    def __init__(self, kinds: tuple[type, ...]) -> None:
        self.kinds = kinds

    def write(self, value: Any, writer: _Writer) -> Any:
        assert type(value) in self.kinds, f"{value!r} is declared to be one of {self.kinds}"
        return writer.refer(value)

    def read(self, stored: Any, reader: _Reader) -> Any:
        if type(stored) is not int or not 0 <= stored < len(reader.objects):
            raise StoredValueError(f"there is no object {_show(stored)} yet")
        value = reader.objects[stored]
        if type(value) not in self.kinds:
            raise StoredValueError(f"object {stored} is a {type(value).__name__}")
        return value


class _Choice(_Form):
    """A union; its members differ in what they are in JSON. A path, which is of one machine, is left out."""

    def __init__(self, forms: Mapping[str, _Form]) -> None:
        self.forms = forms

    def write(self, value: Any, writer: _Writer) -> Any:
        if is_dataclass(value):
            kind = "object"
        elif isinstance(value, Enum):
            kind = "enum"
        elif isinstance(value, Path):
            return None
        else:
            kind = {NoneType: "none", int: "whole", float: "real", str: "text", tuple: "list"}[type(value)]
        return self.forms[kind].write(value, writer)

    def read(self, stored: Any, reader: _Reader) -> Any:
        forms = self.forms
        kinds = {
            NoneType: ("none",),
            int: ("object", "whole"),
            float: ("real",),
            str: ("text", "enum", "whole"),
            list: ("list",),
        }
        for kind in kinds.get(type(stored), ()):
            if kind in forms:
                return forms[kind].read(stored, reader)
        raise StoredValueError(f"{_show(stored)} cannot stand there")


_CLASHES = ({"object", "whole"}, {"text", "enum"}, {"text", "whole"}, {"enum", "whole"})
"""Members of a union that a reader could not tell apart."""


def _find_form(hint: Any) -> _Form:
    """The form of a declared type; TypeError for one that cannot be stored."""
    hint = _without_alias(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is int:
        return _Whole()
    if hint is float:
        return _Real()
    if hint in (str, bool, NoneType):
        return _Exactly(hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _Member(hint)
    if isinstance(hint, type) and is_dataclass(hint):
        return _Object((hint,))
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return _Many(tuple, _find_form(arguments[0]))
    if origin is tuple:
        return _Several([_find_form(argument) for argument in arguments])
    if origin in (list, frozenset):
        return _Many(origin, _find_form(arguments[0]))
    if origin in (dict, Mapping):
        return _Pairs(_find_form(arguments[0]), _find_form(arguments[1]))
    if origin is np.ndarray:
        return _Table(np.dtype(get_args(arguments[1])[0]))
    if origin in (Union, UnionType):
        return _find_choice(arguments)
    raise TypeError(f"values of type {hint} cannot be stored")


def _without_alias(hint: Any) -> Any:
    """What a `type` statement stands for, as NDArray is one from numpy 2.5 on; any other type as it is."""
    origin = get_origin(hint)
    return origin.__value__[get_args(hint)] if hasattr(origin, "__value__") else hint


def _find_choice(members: Sequence[Any]) -> _Choice:
    names = {NoneType: "none", int: "whole", float: "real", str: "text"}
    forms: dict[str, _Form] = {}
    classes = tuple(member for member in members if isinstance(member, type) and is_dataclass(member))
    if classes:
        forms["object"] = _Object(classes)
    for member in members:
        if member in classes or member is Path:
            continue
        is_enum = isinstance(member, type) and issubclass(member, Enum)
        kind = "enum" if is_enum else "list" if get_origin(member) is tuple else names.get(member)
        if kind is None or kind in forms:
            raise TypeError(f"a union of {members} cannot be stored")
        forms[kind] = _find_form(member)
    if any(clash <= set(forms) for clash in _CLASHES):
        raise TypeError(f"the members of a union of {members} cannot be told apart")
    return _Choice(forms)


@cache
def _forms(kind: type) -> tuple[tuple[str, _Form], ...]:
    """Name and form of each field of a dataclass."""
    hints = get_type_hints(kind)
    return tuple((field.name, _find_form(hints[field.name])) for field in fields(kind))


@cache
def _classes(root: type) -> dict[str, type]:
    """The dataclasses that a value of `root` can hold, by name."""
    found: dict[str, type] = {}
    pending: list[Any] = [root]
    while pending:
        hint = pending.pop()
        if not (isinstance(hint, type) and is_dataclass(hint)):
            pending.extend(get_args(hint))
        elif hint.__name__ not in found:
            found[hint.__name__] = hint
            hints = get_type_hints(hint)
            pending.extend(hints[field.name] for field in fields(hint))
        elif found[hint.__name__] is not hint:
            raise TypeError(f"two classes are named {hint.__name__}")
    return found


def _show(stored: Any) -> str:
    text = repr(stored) if not isinstance(stored, list | dict) else f"a {type(stored).__name__}"
    return text if len(text) <= 40 else f"{text[:40]}…"


def _list(stored: Any) -> list[Any]:
    if isinstance(stored, list):
        return stored
    raise StoredValueError(f"{_show(stored)} is no list")


# --- whole values -----------------------------------------------------------------------------------------------------


def describe_layout(root: type) -> str:
    """The dataclasses that a value of `root` can hold, with their fields and types: what a stored value rests on.

    Example:
        >>> from dslc.source import Span
        >>> print(describe_layout(Span))
        SourceFile(name: str, text: str, folder: None | Path)
        Span(file: SourceFile, start: int, end: int)
    """
    lines = []
    for name, kind in sorted(_classes(root).items()):
        hints = get_type_hints(kind)
        declared = (f"{field.name}: {_name_type(hints[field.name])}" for field in fields(kind))
        lines.append(f"{name}({', '.join(declared)})")
    return "\n".join(lines)


def layout_digest(root: type) -> str:
    """Hex digest of `describe_layout`."""
    return sha256(describe_layout(root).encode()).hexdigest()


def _name_type(hint: Any) -> str:
    if hint is NoneType or hint is Ellipsis:
        return "None" if hint is NoneType else "..."
    hint = _without_alias(hint)
    if get_origin(hint) is np.ndarray:
        return f"array of {np.dtype(get_args(get_args(hint)[1])[0])}"
    if get_origin(hint) in (Union, UnionType):
        return " | ".join(sorted(_name_type(argument) for argument in get_args(hint)))
    if get_args(hint):
        return f"{get_origin(hint).__name__}[{', '.join(_name_type(argument) for argument in get_args(hint))}]"
    return str(hint.__name__)


def write_values(value: Any) -> StoredValues:
    """A dataclass with all that it holds.

    Raises:
        TypeError: if a declared type of it cannot be stored.

    Example:
        >>> from dslc.source import SourceFile
        >>> write_values(SourceFile("a.lark", "start:").span(0, 5)).objects
        [['SourceFile', 'a.lark', 'start:', None], ['Span', 0, 0, 5]]
    """
    writer = _Writer()
    pending = [value]
    while pending:
        found = pending[-1]
        if id(found) in writer.number:
            pending.pop()
            continue
        kind: Any = type(found)
        stored = [kind.__name__, *(form.write(getattr(found, name), writer) for name, form in _forms(kind))]
        if writer.missing:  # to be written first, the first field's first; this object is then looked at again
            pending.extend(reversed(writer.missing))
            writer.missing.clear()
            continue
        writer.number[id(found)] = len(writer.objects)
        writer.objects.append(stored)
        pending.pop()
    return StoredValues(writer.objects, writer.arrays)


def read_values(root: type, objects: Any, arrays: Sequence[Array]) -> Any:
    """The value of class `root` that `write_values` wrote.

    Raises:
        StoredValueError: if something in it is not what the declared types say.

    Example:
        >>> from dslc.source import Span
        >>> read_values(Span, [["SourceFile", "a.lark", "start:", None], ["Span", 0, 0, 5]], []).text
        'start'
        >>> read_values(Span, [["SourceFile", "a.lark", 7, None]], [])
        Traceback (most recent call last):
        dslc.stored_values.StoredValueError: object 0, a SourceFile, `text`: 7 is not str
    """
    classes = _classes(root)
    reader = _Reader(arrays)
    for number, stored in enumerate(_list(objects)):
        name = _list(stored)[0] if stored else None
        kind = classes.get(name) if isinstance(name, str) else None
        if kind is None:
            raise StoredValueError(f"object {number} is of an unknown class {_show(name)}")
        forms = _forms(kind)
        if len(stored) != len(forms) + 1:
            raise StoredValueError(f"object {number}, a {name}, has {len(stored) - 1} fields, not {len(forms)}")
        found = {}
        for (field, form), item in zip(forms, stored[1:], strict=True):
            try:
                found[field] = form.read(item, reader)
            except StoredValueError as error:
                raise StoredValueError(f"object {number}, a {name}, `{field}`: {error}") from None
        reader.objects.append(kind(**found))
    if not reader.objects or type(reader.objects[-1]) is not root:
        raise StoredValueError(f"the last object is no {root.__name__}")
    return reader.objects[-1]
