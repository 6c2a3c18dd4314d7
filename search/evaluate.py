"""One program to its outcome: whatever a task does, what comes back is a finite reward or a diagnostic."""

from __future__ import annotations

import math
import numbers
import random
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.search.halving import Reporter, curve_to_metrics
from dslc.search.outcome import Context, Outcome, Task

if TYPE_CHECKING:
    from dslc.space import Program

SHOWN_FRAMES = 6
"""Last frames of an exception that a failed child is recorded with."""
_OWN_FOLDERS = tuple({Path(__file__).parent, Path(__file__).resolve().parent})


def child_seed(run_seed: int, program_hash: str, fidelity: float) -> int:
    """Seed of a child, 0 to 2^32 - 1: the same for the same program in the same run, whenever and wherever it runs.

    Example:
        >>> child_seed(0, "ab", 1.0) == child_seed(0, "ab", 1.0) != child_seed(1, "ab", 1.0)
        True
    """
    digest = sha256(f"{run_seed}\0{program_hash}\0{fidelity!r}".encode()).digest()
    return int.from_bytes(digest[:4], "big")  # 32 bits: the most that every common library takes as a seed


def hash_program(program: Program) -> str:
    """The program's hash; of its tokens where its sentence has no meaning, so that this failure is one program too."""
    try:
        return program.hash
    except DslcError:
        return sha256(f"no meaning\0{program.tokens}".encode()).hexdigest()


def evaluate_program(task: Task, program: Program, context: Context) -> Outcome:
    """The task's outcome, checked; an exception, a wrong type and a reward that is not finite are failed outcomes.

    The global generators of Python, numpy and torch are seeded with the child's seed and put back afterwards, so a task
    that uses them gives the same reward for the same program and does not disturb the search. Where halving is on, what
    the child reports is answered by its cutoffs and kept among the metrics.
    """
    if context.cutoffs is None:
        return check_outcome(_call_task(task.evaluate, program, context))
    reporter = Reporter(context.cutoffs)
    outcome = check_outcome(_call_task(task.evaluate, program, replace(context, report=reporter)))
    return replace(outcome, metrics={**outcome.metrics, **curve_to_metrics(reporter.curve)})


def run_test(task: Task, program: Program, context: Context) -> Outcome | None:
    """The task's test of a program, checked as `evaluate_program` does; None if the task has no test."""
    result = _call_task(task.test, program, context)
    return None if result is None else check_outcome(result)


def _call_task(call: Callable[[Program, Context], Any], program: Program, context: Context) -> Any:
    """What the task returns, or the failed outcome of what it raises."""
    with _seeded_generators(context.seed, context.device):
        try:
            return call(program, context)
        except DslcError as error:
            return Outcome(None, diagnostic=next(d for d in error.diagnostics if d.severity is Severity.ERROR))
        except (Exception, SystemExit) as error:  # sys.exit ends a child, not the search
            return Outcome(None, diagnostic=_explain_failure(program, error))


def check_outcome(result: Any) -> Outcome:
    """What a task returned, as an outcome: a finite float reward and float metrics, or a diagnostic.

    Example:
        >>> check_outcome(1).reward, check_outcome(float("nan")).diagnostic.code.name
        (1.0, 'REWARD_NOT_FINITE')
    """
    if not isinstance(result, Outcome):
        number = _as_float(result)
        if number is None:
            message = f"the task returned {type(result).__name__}, not a number or an Outcome"
            return _fail(Code.REWARD_WRONG_TYPE, message, "return a float, the larger the better, or an Outcome")
        result = Outcome(number)
    if result.reward is None:
        if result.diagnostic is not None:
            return Outcome(None, _float_metrics(result.metrics), result.diagnostic)
        message = "the task gave neither a reward nor a diagnostic"
        return _fail(Code.NO_REWARD, message, "return Outcome(reward=...)", result)
    reward = _as_float(result.reward)
    if reward is None:
        message = f"the reward is of type {type(result.reward).__name__}, not a number"
        return _fail(Code.REWARD_WRONG_TYPE, message, "return a float, the larger the better", result)
    if not math.isfinite(reward):
        return _fail(Code.REWARD_NOT_FINITE, f"the reward is {reward}", "return a finite number", result)
    if result.diagnostic is not None:
        return Outcome(None, _float_metrics(result.metrics), result.diagnostic)
    return Outcome(reward, _float_metrics(result.metrics))


def _explain_failure(program: Program, error: BaseException) -> Diagnostic:
    """In the words of the grammar if the program's own code failed, else by the frames of the task."""
    source = vars(program).get("source")  # only if the task made it
    if source is not None:
        frames = traceback.extract_tb(error.__traceback__)
        if any(frame.filename == source.file_name for frame in frames):
            from dslc.program.load import explain_exception

            return explain_exception(source, error)
    return describe_exception(error)


def describe_exception(error: BaseException) -> Diagnostic:
    """The diagnostic of an exception in a task, with the last frames of the task's own code and what it called."""
    frames = traceback.extract_tb(error.__traceback__)
    first = 0
    while first < len(frames) - 1 and _is_ours(frames[first].filename):
        first += 1
    lines = [f"{f.filename}:{f.lineno} in {f.name}: {f.line or ''}".rstrip(": ") for f in frames[first:]]
    text = " ".join(str(error).split())
    return Diagnostic(
        Code.TASK_RAISED,
        Severity.ERROR,
        f"{type(error).__name__}: {text}" if text else type(error).__name__,
        help="mend the task, or return Outcome(None, diagnostic=...) for programs that it cannot score",
        notes=tuple(lines[-SHOWN_FRAMES:]),
    )


def _is_ours(filename: str) -> bool:
    """Whether it is a file of the search, which a reader of the task's error does not care about."""
    return any(folder in Path(filename).parents for folder in _OWN_FOLDERS)


def _fail(code: Code, message: str, action: str, outcome: Outcome | None = None) -> Outcome:
    metrics = _float_metrics(outcome.metrics) if outcome else {}
    return Outcome(None, metrics, Diagnostic(code, Severity.ERROR, message, help=action))


def _as_float(value: Any) -> float | None:
    """The number that `value` is, also as a numpy scalar or a tensor of one element; None if it is none."""
    if isinstance(value, bool | str | bytes) or value is None:
        return None
    if isinstance(value, numbers.Real):
        return float(value)
    item = getattr(value, "item", None)
    if item is None or getattr(value, "size", None) is None:
        return None
    try:
        number = item()
    except (ValueError, RuntimeError):  # more than one element
        return None
    return float(number) if isinstance(number, int | float) and not isinstance(number, bool) else None


def _float_metrics(metrics: Mapping[str, Any]) -> dict[str, float]:
    numbers_by_name = {str(name): _as_float(value) for name, value in metrics.items()}
    return {name: value for name, value in numbers_by_name.items() if value is not None}


@contextmanager
def _seeded_generators(seed: int, device: str) -> Iterator[None]:
    """Seed the global generators, and put their states back."""
    import numpy as np
    import torch

    python_state, numpy_state, torch_state = random.getstate(), np.random.get_state(), torch.get_rng_state()
    on_gpu = device.startswith("cuda")
    gpu_state = torch.cuda.get_rng_state(device) if on_gpu else None
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)
    if on_gpu:
        torch.cuda.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        torch.set_rng_state(torch_state)
        if gpu_state is not None:
            torch.cuda.set_rng_state(gpu_state, device)
