"""A user's own task: a function `reward(program, context) -> float | Outcome`, named as `module:function`."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.search.evaluate import describe_exception
from dslc.search.outcome import Context, Outcome
from dslc.search.population_task import Scorer

if TYPE_CHECKING:
    from dslc.space import Program, Space

RewardFunction = Callable[["Program", Context], "float | Outcome"]


class UserFunction:
    """The task that scores a program by calling a function; the larger the reward, the better.

    What else a task declares can be given as attributes of the function, all optional: `metric` (default "reward"),
    `unit`, `floor` (default: the worst reward of the run so far), `accepts`, `reference`, `evaluations`, `options` (a
    mapping of the options that it knows to their defaults; without it any option is passed on), `test`, a function
    of the same form, and `population`, a function (space, context) that returns what scores many sentences at once, see
    `dslc.search.population_task`, or a text that says why it cannot for this space.

    Example:
        >>> def length(program, context):
        ...     return -len(program.tokens)
        >>> task = UserFunction(length)
        >>> task.metric, task.floor
        ('reward', -inf)
    """

    def __init__(self, function: RewardFunction, name: str | None = None) -> None:
        self.function = function
        self.name = name or f"{function.__module__}:{getattr(function, '__qualname__', type(function).__name__)}"
        self.accepts: tuple[str, ...] | None = getattr(function, "accepts", None)
        self.metric: str = getattr(function, "metric", "reward")
        self.unit: str = getattr(function, "unit", "")
        self.floor: float = getattr(function, "floor", float("-inf"))
        self.reference: tuple[str, float, str] | None = getattr(function, "reference", None)
        self.evaluations: int = getattr(function, "evaluations", 200)
        self.options: Mapping[str, Any] | None = getattr(function, "options", None)

    def evaluate(self, program: Program, context: Context) -> Outcome:
        """Whatever the function returns; the search checks it."""
        return self.function(program, context)  # type: ignore[return-value]

    def test(self, program: Program, context: Context) -> Outcome | None:
        """What the function's own `test` returns; None if it has none."""
        test = getattr(self.function, "test", None)
        return None if test is None else test(program, context)

    @property
    def population(self) -> Callable[[Space, Context], Scorer | str] | None:
        """The function's own `population`; None if it has none."""
        return getattr(self.function, "population", None)


def load_user_function(name: str, *, directory: Path | None = None) -> UserFunction:
    """The task of `module:function`; modules are looked for in `directory` (default: the current one) first.

    Raises:
        DslcError: DSLC602, with the places tried, or with the user's frames if importing the module fails.
    """
    module_name, _, function_name = name.partition(":")
    folder = str((directory or Path.cwd()).resolve())
    if folder not in (os.path.abspath(place) for place in sys.path):
        sys.path.insert(0, folder)
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        if not isinstance(error, ModuleNotFoundError) or not _is_part_of(error.name, module_name):
            raise _cannot_import(name, module_name, error) from error
        places = [place or folder for place in sys.path]
        wanted = module_name.replace(".", "/") + ".py"
        raise DslcError(
            Diagnostic(
                Code.TASK_NOT_FOUND,
                Severity.ERROR,
                f"there is no module `{error.name}` for task `{name}`",
                help=f"put the function into {Path(folder) / wanted}, or start the search in the folder of that file",
                notes=(f"tried {Path(folder) / wanted} first", f"then looked in: {', '.join(places)}"),
            )
        ) from None
    except Exception as error:
        raise _cannot_import(name, module_name, error) from error
    function: Any = module
    for part in function_name.split("."):
        function = getattr(function, part, None)
    if not callable(function):
        functions = [n for n, value in vars(module).items() if callable(value) and not n.startswith("_")]
        near = get_close_matches(function_name, functions, n=1)
        what = "is not a function" if function is not None else "does not exist"
        raise DslcError(
            Diagnostic(
                Code.TASK_NOT_FOUND,
                Severity.ERROR,
                f"`{function_name}` {what} in module `{module_name}`",
                help=(f"did you mean `{module_name}:{near[0]}`? " if near else "")
                + "a task is a function reward(program, context) that returns a number",
                notes=(f"the module is {getattr(module, '__file__', None) or 'built in'}",),
            )
        )
    return UserFunction(function, name)


def _is_part_of(missing: str | None, module_name: str) -> bool:
    """Whether the module that was not found is the named one or a package around it, not something that it imports."""
    return missing is not None and f"{module_name}.".startswith(f"{missing}.")


def _cannot_import(name: str, module_name: str, error: Exception) -> DslcError:
    problem = describe_exception(error)
    frames = tuple(note for note in problem.notes if "importlib" not in note)
    return DslcError(
        Diagnostic(
            Code.TASK_NOT_FOUND,
            Severity.ERROR,
            f"importing `{module_name}` for task `{name}` failed: {problem.message}",
            help="mend the module; it must import by itself",
            notes=frames,
        )
    )
