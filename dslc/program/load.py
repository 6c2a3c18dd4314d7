"""Emitted source as a living module, optimizer or function; the only part of the compiler that runs what it wrote."""

from __future__ import annotations

import inspect
import linecache
import sys
from collections import OrderedDict
from collections.abc import Mapping
from difflib import get_close_matches
from traceback import format_exception_only
from types import ModuleType
from typing import TYPE_CHECKING, Any

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.program.compile_source import compile_source
from dslc.program.emit import PythonSource
from dslc.program.meaningless import place_text
from dslc.program.targets import Built

if TYPE_CHECKING:
    from torch import nn

    from dslc.program.targets import Target

KEPT_TEXTS = 1024
"""How many texts stay loaded and readable for tracebacks; a search loads many more, and each is a few kilobytes."""

_kept: OrderedDict[str, ModuleType] = OrderedDict()


def load_program(source: PythonSource, target: Target, arguments: Mapping[str, Any]) -> object:
    """What a target's program is once built: a module, an optimizer or a function.

    Raises:
        DslcError: as `load_module`.
    """
    if target.builds is Built.FUNCTION:
        _check_arguments(source, inspect.Signature(), arguments)
        return load_name(source)
    return _build(source, arguments)


def load_module(source: PythonSource, **arguments: Any) -> nn.Module:
    """An instance of the module that `source` defines.

    Args:
        source: what a target emitted.
        arguments: the constructor arguments, by name.

    Raises:
        DslcError: DSLC503 for a missing argument, DSLC504 for one that the class does not take, DSLC501 if the
            constructor fails with these values.
    """
    module: nn.Module = _build(source, arguments)
    return module


def load_class(source: PythonSource) -> type[nn.Module]:
    """The module class that `source` defines."""
    loaded: type[nn.Module] = load_name(source)
    return loaded


def load_name(source: PythonSource, defined: str | None = None) -> Any:
    """The class or function that `source` defines, in a module of its own; tracebacks through it show its lines.

    The same one for equal sources, as long as it is among the last that were loaded.

    Args:
        source: what a target emitted.
        defined: another name of the module, for targets that define several; default: the source's own.
    """
    name = source.file_name
    module = _kept.get(name)
    if module is None:
        module = ModuleType(_module_name(name))
        module.__file__ = name
        exec(compile_source(source.text, name, source.filled), module.__dict__)
    _keep_module(name, module, source.text)
    return getattr(module, defined or source.class_name)


def _build(source: PythonSource, arguments: Mapping[str, Any]) -> Any:
    loaded = load_name(source)
    try:
        return loaded(**arguments)
    except Exception as error:
        _check_arguments(source, inspect.signature(loaded), arguments)
        raise DslcError(explain_exception(source, error)) from error


def explain_exception(source: PythonSource, exception: BaseException) -> Diagnostic:
    """The diagnostic for an exception that came out of a loaded program: which part of the sentence it comes from.

    The innermost line of the emitted text that computes a part of it counts, or the innermost at all if none does; an
    exception that passed through none is described as such.
    """
    line = _innermost_line(source, exception)
    origin = None if line is None else source.origin(line)
    what = "".join(format_exception_only(exception)).splitlines()[0]
    notes = [f"the sentence is `{source.sentence}`"]
    if line is not None:
        notes.append(f"line {line} of the source: `{source.text.splitlines()[line - 1].strip()}`")
    if origin is None:
        message = f"the program failed with {what}"
    else:
        message = f"`{origin.op}` failed with {what}"
        notes.insert(0, f"it comes from {place_text(origin.rule, *origin.tokens)}")
    return Diagnostic(
        Code.EMITTED_CODE_FAILED,
        Severity.ERROR,
        message,
        help="look at the shapes and values that the program is given; `dslc emit` writes its source",
        notes=tuple(notes),
    )


def _innermost_line(source: PythonSource, exception: BaseException) -> int | None:
    lines: list[int] = []
    trace = exception.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == source.file_name:
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    # A function beside the program's class, such as one that pads, is no part of the sentence: its caller is.
    mapped = [line for line in lines if source.origin(line) is not None]
    found = mapped or lines
    return found[-1] if found else None


def _module_name(file_name: str) -> str:
    return f"dslc_emitted_{file_name.split()[-1].rstrip('>')}"


def _keep_module(name: str, module: ModuleType, text: str) -> None:
    # torch.compile imports the module of what it compiles by name.
    sys.modules[module.__name__] = module
    # Without a modification time linecache never looks for a file of that name.
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    _kept[name] = module
    _kept.move_to_end(name)
    if len(_kept) > KEPT_TEXTS:
        oldest, _ = _kept.popitem(last=False)
        linecache.cache.pop(oldest, None)
        sys.modules.pop(_module_name(oldest), None)


def _check_arguments(source: PythonSource, signature: inspect.Signature, arguments: Mapping[str, Any]) -> None:
    problems = []
    takes = f"{source.class_name}{signature}".split(" ->")[0]
    for name, parameter in signature.parameters.items():
        if parameter.default is parameter.empty and name not in arguments:
            message = f"the argument `{name}` is missing"
            problems.append(Diagnostic(Code.MISSING_ARGUMENT, Severity.ERROR, message, help=f"build takes: {takes}"))
    for name in arguments:
        if name not in signature.parameters:
            near = get_close_matches(name, list(signature.parameters), n=1)
            help = (f"did you mean `{near[0]}`? " if near else "") + f"build takes: {takes}"
            message = f"there is no argument `{name}`"
            problems.append(Diagnostic(Code.UNKNOWN_ARGUMENT, Severity.ERROR, message, help=help))
    if problems:
        raise DslcError(problems)
