"""`search` and `resume`: from a space, a task and settings to a run folder."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.saved_space import SUFFIX, pack_space
from dslc.search.config import SearchConfig, change_settings, check_options, make_config, split_until
from dslc.search.engine import Engine, Status
from dslc.search.executors.choose import make_executor
from dslc.search.executors.job import Executor
from dslc.search.lock import RunLock
from dslc.search.outcome import Context, Outcome, Strategy, Task
from dslc.search.population_engine import PopulationEngine
from dslc.search.population_task import Scorer, make_scorer, need_scorer
from dslc.search.progress import Callback
from dslc.search.result import SearchResult
from dslc.search.resuming import check_grammar_copy, read_config, record_changes
from dslc.search.stopping import StopRule
from dslc.search.store import RunStore, read_info
from dslc.search.tasks import describe_task, get_task
from dslc.search.tasks.user_function import UserFunction

if TYPE_CHECKING:
    from dslc.space import Program, Space


def search(
    space: Space,
    *,
    task: str | Task | Callable[[Program, Context], float | Outcome],
    strategy: str | Strategy = "policy_gradient",
    evaluations: int | None = None,
    batch: int | None = None,
    control: int | None = None,
    halving: Sequence[float] = (),
    until: Mapping[str, float] | None = None,
    seed: int = 0,
    device: str = "cpu",
    workers: int = 0,
    child_threads: int = 1,
    child_seconds: float | None = None,
    child_memory: int | None = None,
    ray: str | None = None,
    populations: bool | None = None,
    options: Mapping[str, Any] | None = None,
    strategy_options: Mapping[str, Any] | None = None,
    run_dir: str | Path | None = None,
    overwrite: bool = False,
    command: str | None = None,
    callbacks: Sequence[Callback] = (),
) -> SearchResult:
    """Search `space` for programs that score well, and record everything in a run folder.

    Ctrl-C and SIGTERM end it early with everything finished recorded; `resume` goes on. On a CPU the same settings give
    the same history on one machine with one version of torch, resumed or not.

    Args:
        space: what to search.
        task: name of a shipped task, `module:function`, a task, or a function `reward(program, context)`.
        strategy: a name of `dslc.search.strategies.STRATEGY_NAMES`, or a strategy made for this space.
        evaluations: samples of the strategy to score; a repeat is answered from memory and counts. Default: the task's.
        batch: samples between two updates; default: that of the strategy's preset where its source names one, else
            evaluations / 30, between 5 and 20.
        control: extra uniform samples as a yardstick, never told to the strategy; default: evaluations / 2. They are
            spread evenly over the evaluations, and a run that a rule ends early has its share of them.
        halving: shares of full training, rising to 1, such as `(1/9, 1/3, 1)`: every program is trained with the first;
            whatever is among the best of those trained so far with a share goes on to the next. The task must look at
            `context.fidelity`, as the shipped ones that train do, and the strategy is told the reward of the longest
            training. Within a share, `context.report` stops what is worse than most before it. Default: every
            program is trained in full.
        until: rules that end the run, looked at between batches, the first that is met does: `evaluations` (the same as
            the argument), `seconds` of wall-clock time summed over resumes, `patience` (samples of the strategy without
            a new best), `entropy` (the policy's, nats a token, falls below). Until then the history is that of the run
            without them.
        seed: of everything random.
        device: `cpu`, `cuda` or `cuda:N`, for controller and children.
        workers: processes that children run in; 0: in this one. The history is the same. With a GPU each worker has one
            of those that there are, in turn.
        child_threads: CPU threads of torch for controller and children.
        child_seconds: wall-clock time after which a child fails; needs workers.
        child_memory: resident memory in MB past which a child fails; needs workers.
        ray: address of a Ray cluster to run the workers on, or `local`; `workers` 0 then means as many as it has CPUs
            or GPUs.
        populations: whether a batch is scored at once, as arrays; default: where the task can, as `fit` does for spaces
            that `info` says can be evaluated so.
        options: options of the task, such as `{"epochs": 5}`.
        strategy_options: options of the strategy.
        run_dir: the run folder, new or empty; default: `runs/<grammar>-<task>-<time>`.
        overwrite: remove a run that is in `run_dir`.
        command: how the search was started, for the record.
        callbacks: called with a `Progress` at most ten times a second and once at the end; one that raises is called
            no more, which a note of the result says. `dslc.search.callbacks` has a report that is rewritten while the
            search runs, and figures for TensorBoard.

    Returns:
        The run, whose `status` is `finished`, `interrupted` or `failed` (ten children failed alike, none succeeded).

    Raises:
        DslcError: before the first sample, with what is wrong with the settings, the task or the folder.
    """
    task, directory = _resolve_task(task), str(Path.cwd())
    evaluations, rules = split_until(evaluations, until or {})
    if batch is None:
        batch = _usual_batch(strategy, strategy_options or {}, task.evaluations if evaluations is None else evaluations)
    config = make_config(
        task.name,
        strategy=strategy if isinstance(strategy, str) else strategy.name,
        evaluations=task.evaluations if evaluations is None else evaluations,
        batch=batch,
        control=control,
        halving=tuple(halving),
        seed=seed,
        device=device,
        workers=workers,
        child_threads=child_threads,
        child_seconds=child_seconds,
        child_memory=child_memory,
        ray=ray,
        options=_task_options(task, options or {}),
        strategy_options=dict(strategy_options or {}),
        until=rules,
    )
    _check_target(task, space)
    with _torch_threads(config), ExitStack() as stack:
        data_sha256 = _prepare_task(task, space, config)
        scorer = None if populations is False else _find_scorer(task, space, config, is_needed=populations is True)
        config = replace(config, populations=scorer is not None)
        executor = make_executor(config, space, task, directory=directory, data_sha256=data_sha256)
        stack.callback(executor.close)
        if isinstance(strategy, str):
            strategy = _make_strategy(config, space)
        _check_figures(strategy, config)
        folder = _choose_folder(space, task, run_dir, overwrite)
        texts = {name.replace("<text>", "text.lark"): text for name, text in space.compilation.grammar.texts().items()}
        grammar_copy, *imports = texts
        files: dict[str, str | bytes] = dict(texts)
        space_copy = f"{Path(grammar_copy).stem}{SUFFIX}" if space.is_loaded else None
        if space_copy is not None:  # so that the run can be opened where the grammar cannot be compiled
            files[space_copy] = pack_space(space.compilation)
        info = {
            "command": command or f"dslc.search.search({space!r}, task={task.name!r})",
            "config": config.to_json(),
            "config_at_start": config.to_json(),
            "grammar": {
                "file": space.file.name,
                "copy": f"grammar/{grammar_copy}",
                "space": None if space_copy is None else f"grammar/{space_copy}",
                "sha256": sha256(space.file.text.encode()).hexdigest(),
                "imports": {name: sha256(texts[name].encode()).hexdigest() for name in imports},
                "start": space.start,
                "target": space.target,
                "max_tokens": space.max_tokens,
            },
            "task": {**describe_task(task), "directory": directory},
            "environment": _describe_environment(config, data_sha256),
            "status": Status.RUNNING.value,
            "started_at": time.time(),
        }
        with closing(RunStore.create(folder, info, files)) as store:
            notes = _run(space, task, strategy, executor, config, store, callbacks, scorer)
    return SearchResult(folder, notes=notes)


def resume(
    run_dir: str | Path,
    *,
    task: Task | Callable[[Program, Context], float | Outcome] | None = None,
    strategy: Strategy | None = None,
    callbacks: Sequence[Callback] = (),
    **settings: Any,
) -> SearchResult:
    """Go on with an interrupted or crashed run until a stop rule is met; nothing recorded is run again.

    The run's own copy of the grammar is used: one that changed since makes no difference, and a note says so. A run
    that has ended comes back as it is.

    Args:
        run_dir: the run folder.
        task: the task, needed only where it was not given by a name that can be looked up again.
        strategy: the strategy as it was at the start, needed only where it was not given by name.
        callbacks: as in `search`.
        settings: settings of `search`; `workers`, `child_seconds`, `child_memory` and `ray` may be others than before,
            which is recorded, and any other must be as it was.

    Raises:
        DslcError: if the folder is no run, is in use, cannot be written, or goes on differently than recorded (another
            setting, another version of torch). Nothing that was recorded is changed.
    """
    run_dir = Path(run_dir)
    info = read_info(run_dir)
    recorded = read_config(info)
    config = change_settings(recorded, settings)
    if info["status"] in (Status.FINISHED.value, Status.FAILED.value):
        return SearchResult(run_dir)
    check_grammar_copy(run_dir, info)
    result = SearchResult(run_dir)
    notes = _grammar_notes(info)
    found = _find_task_again(info) if task is None else _resolve_task(task)
    with closing(RunStore.reopen(run_dir)) as store, _torch_threads(config), ExitStack() as stack:
        data_sha256 = _prepare_task(found, result.space, config)
        _check_data(info, data_sha256)
        scorer = _find_scorer(found, result.space, config, is_needed=True) if config.populations else None
        strategy = strategy or _make_strategy(config, result.space)
        directory = info["task"]["directory"]
        executor = make_executor(config, result.space, found, directory=directory, data_sha256=data_sha256)
        stack.callback(executor.close)
        notes += record_changes(store, recorded, config)
        store.write_info(status=Status.RUNNING.value)
        notes += _run(result.space, found, strategy, executor, config, store, callbacks, scorer)
    return SearchResult(run_dir, notes=notes)


def _run(
    space: Space,
    task: Task,
    strategy: Strategy,
    executor: Executor,
    config: SearchConfig,
    store: RunStore,
    callbacks: Sequence[Callback],
    scorer: Scorer | None,
) -> tuple[Diagnostic, ...]:
    """Run the engine; returns what it noted."""
    if scorer is None:
        engine = Engine(space, task, strategy, executor, config, store, callbacks)
    else:
        engine = PopulationEngine(space, task, strategy, executor, config, store, callbacks, scorer=scorer)
        if config.workers or config.ray is not None:
            engine.notes.append(_in_process())
    try:
        engine.run()
    except BaseException:
        with suppress(DslcError):  # on a full disk; a run that nobody holds counts as interrupted anyway
            store.write_info(status=Status.INTERRUPTED.value)
        raise
    return tuple(engine.notes)


# --- the task -------------------------------------------------------------------------------------------------------


def _resolve_task(task: str | Task | Callable[[Program, Context], float | Outcome]) -> Task:
    if isinstance(task, str):
        return get_task(task)
    if callable(task):
        return UserFunction(task)
    return task


def _find_task_again(info: Mapping[str, Any]) -> Task:
    name, directory = info["task"]["name"], Path(info["task"]["directory"])
    try:
        return get_task(name, directory=directory)
    except DslcError as error:
        raise DslcError(
            [
                *error.diagnostics,
                Diagnostic(
                    Code.TASK_NEEDED,
                    Severity.ERROR,
                    f"the task `{name}` of this run cannot be looked up by its name",
                    help="give it: dslc.search.resume(run_dir, task=...)",
                ),
            ]
        ) from error


def _task_options(task: Task, given: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a task that declares which it knows, otherwise those given, unchecked."""
    defaults = getattr(task, "options", None)
    return dict(given) if defaults is None else check_options(task.name, given, defaults)


def _prepare_task(task: Task, space: Space, config: SearchConfig) -> str | None:
    """Let a task with data load them now, so that what is missing is said before the first sample; their sha256."""
    prepare = getattr(task, "prepare", None)
    return None if prepare is None else prepare(space, config.options)


def _find_scorer(task: Task, space: Space, config: SearchConfig, *, is_needed: bool) -> Scorer | None:
    """What scores populations, if the task can.

    Raises:
        DslcError: DSLC672 if it cannot and is needed.
    """
    found = make_scorer(task, space, config)
    return need_scorer(found) if is_needed or not isinstance(found, str) else None


def _in_process() -> Diagnostic:
    return Diagnostic(
        Code.POPULATION_IN_PROCESS,
        Severity.NOTE,
        "batches are scored at once in this process; workers have the best programs and the test only",
        help="search with --no-populations to give every program to a worker",
    )


def _check_data(info: Mapping[str, Any], found: str | None) -> None:
    """Nothing, or an error if the task's data are not those that the run began with.

    Raises:
        DslcError: DSLC626.
    """
    recorded = info["environment"]["data_sha256"]
    if found != recorded:
        raise DslcError(
            Diagnostic(
                Code.HISTORY_DIFFERS,
                Severity.ERROR,
                f"the data of task `{info['task']['name']}` have changed since the run began",
                help="restore them, or start a new run",
                notes=(f"their sha256 was {recorded} and is {found}",),
            )
        )


def _check_target(task: Task, space: Space) -> None:
    if task.accepts is None or space.target in task.accepts:
        return
    has = f"has the target `{space.target}`" if space.target else "has no target"
    raise DslcError(
        Diagnostic(
            Code.TASK_REFUSES_TARGET,
            Severity.ERROR,
            f"task `{task.name}` cannot score programs of `{space.name}`, which {has}",
            span=space.file.span(0),
            help=f"it accepts {', '.join(task.accepts)}; a function of your own, module:function, can score any",
        )
    )


# --- what it runs with ----------------------------------------------------------------------------------------------


def _usual_batch(strategy: str | Strategy, options: Mapping[str, Any], evaluations: int) -> int | None:
    """Samples a batch that the preset's source or the strategy names; None if neither does."""
    from dslc.controller.presets import PRESETS
    from dslc.search.strategies import usual_batch

    preset = PRESETS.get(options.get("preset", ""))
    batch = None if preset is None else preset.batch
    if batch is None and isinstance(strategy, str):
        batch = usual_batch(strategy, evaluations)
    return None if batch is None else min(batch, max(evaluations, 1))


def _make_strategy(config: SearchConfig, space: Space) -> Strategy:
    from dslc.search.strategies import make_strategy

    return make_strategy(
        config.strategy,
        space,
        evaluations=config.evaluations,
        batch=config.batch,
        seed=config.seed,
        device=config.device,
        options=config.strategy_options,
    )


def _check_figures(strategy: Strategy, config: SearchConfig) -> None:
    """Nothing, or an error if a stop rule needs a figure that the strategy does not tell.

    Raises:
        DslcError: DSLC605.
    """
    rule = StopRule.ENTROPY.value
    if rule not in config.until or rule in getattr(strategy, "figures", ()):
        return
    raise DslcError(
        Diagnostic(
            Code.BAD_SETTING,
            Severity.ERROR,
            f"`until entropy` cannot end a search by `{strategy.name}`, which tells no entropy",
            help="use one with a policy, or one of the rules evaluations, seconds and patience",
        )
    )


@contextmanager
def _torch_threads(config: SearchConfig) -> Iterator[None]:
    """Give torch the run's number of threads, since sums depend on it, and check the device.

    Raises:
        DslcError: DSLC607 if a GPU is asked for and there is none.
    """
    import torch

    if config.device != "cpu":
        number = int(config.device.partition(":")[2] or 0)
        if not torch.cuda.is_available() or number >= torch.cuda.device_count():
            count = torch.cuda.device_count() if torch.cuda.is_available() else 0
            raise DslcError(
                Diagnostic(
                    Code.NO_CUDA,
                    Severity.ERROR,
                    f"device `{config.device}` is not there: torch {torch.__version__} sees {count} CUDA devices",
                    help="use --device cpu, or install a torch build for CUDA beside a driver",
                )
            )
    before = torch.get_num_threads()
    torch.set_num_threads(config.child_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _describe_environment(config: SearchConfig, data_sha256: str | None) -> dict[str, Any]:
    import torch

    return {
        "dslc": importlib.metadata.version("dslc"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(),
        "child_threads": config.child_threads,
        "data_sha256": data_sha256,
    }


# --- the folder -----------------------------------------------------------------------------------------------------


def _choose_folder(space: Space, task: Task, run_dir: str | Path | None, overwrite: bool) -> Path:
    if run_dir is None:
        name = f"{space.name}-{task.name.replace(':', '.')}-{time.strftime('%Y%m%d-%H%M%S')}"
        name = "".join(c if c.isalnum() or c in "-._" else "_" for c in name)
        folder, number = Path("runs") / name, 1
        while folder.exists():  # two searches started in one second
            number += 1
            folder = Path("runs") / f"{name}-{number}"
        return folder
    folder = Path(run_dir)
    if overwrite and (folder / "run.json").exists():
        RunLock(folder).release()  # refused while a search is running there
        for name in ("run.json", "samples.sqlite", "samples.sqlite-wal", "samples.sqlite-shm", "report.html", "lock"):
            (folder / name).unlink(missing_ok=True)
        for name in ("checkpoints", "grammar", "tensorboard"):
            shutil.rmtree(folder / name, ignore_errors=True)
    return folder


def _grammar_notes(info: Mapping[str, Any]) -> tuple[Diagnostic, ...]:
    original = Path(info["grammar"]["file"])
    hashes = {original: info["grammar"]["sha256"]}
    hashes |= {original.parent / name: value for name, value in info["grammar"].get("imports", {}).items()}
    changed = [path for path in hashes if path.is_file() and sha256(path.read_bytes()).hexdigest() != hashes[path]]
    return tuple(
        Diagnostic(
            Code.GRAMMAR_CHANGED,
            Severity.NOTE,
            f"`{path}` has changed since the run began, which goes on with its own copy",
            help="start a new run to search the changed grammar",
        )
        for path in changed
    )
