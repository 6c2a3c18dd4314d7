"""`dslc search`: look for the best program of a space."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from dslc.cli.group import Exit
from dslc.cli.options import (
    examples,
    force_option,
    seed_option,
    space_options,
    start_table_options,
    tensorboard_option,
    terminal_options,
    worker_options,
)
from dslc.cli.progress import clock, open_progress
from dslc.cli.terminal import Terminal
from dslc.diagnostics import DslcError
from dslc.space import compile as compile_space

if TYPE_CHECKING:
    from dslc.search import Progress, SearchResult


def list_strategies() -> tuple[str, ...]:
    """Names of the strategies, of their files: nothing is imported for it, as that would import torch."""
    folder = Path(__file__).parents[1] / "search/strategies"
    return tuple(sorted(path.stem for path in folder.glob("*.py") if "\nSTRATEGY = " in path.read_text("utf-8")))


class StrategyName(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of click only
    """A strategy's name, which the search looks up; the shell completes it."""

    name = "strategy"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """Names that begin so."""
        return [CompletionItem(name) for name in list_strategies() if name.startswith(incomplete)]


@click.command(
    "search",
    short_help="Look for the best program of a space.",
    epilog=examples(
        "dslc search conv_net --task digits --evaluations 300 --run runs/first",
        "dslc search my_space.lark --task reward:score",
        "dslc search conv_net --task digits --set strategy.learning_rate=0.01",
        "dslc search conv_net --task digits --until patience=100 --until seconds=600",
        "dslc search expression --task fit --target-length 12",
        "dslc search expression --task fit --strategy risk_seeking --preset dso",
        "dslc search conv_net --task digits --workers 4 --child-seconds 300",
    ),
)
@space_options
@click.option(
    "--task", "task", metavar="TASK", required=True,
    help="How a program is scored: a name that `dslc tasks` lists, or your own function as module:function.",
)  # fmt: skip
@click.option(
    "--strategy", metavar="NAME", type=StrategyName(), default="policy_gradient", show_default=True,
    help=f"How candidates are found: {', '.join(list_strategies())}. See docs/strategies.md.",
)  # fmt: skip
@click.option(
    "--preset", metavar="NAME",
    help="Sizes of the policy, as papers have them: small (default), zoph2017, bello2017 or dso. The same as --set "
    "strategy.preset=NAME.",
)  # fmt: skip
@click.option("--evaluations", metavar="N", type=int, help="How many samples to score. Default: the task's.")
@click.option("--batch", metavar="N", type=int, help="Samples between two updates. Default: evaluations / 30, 5 to 20.")
@click.option(
    "--control", metavar="N", type=int,
    help="Uniform samples to score beside the search, as a yardstick. Default: evaluations / 2.",
)  # fmt: skip
@click.option(
    "--until", "rules", metavar="RULE=N", multiple=True,
    help="Stop early: evaluations=N, seconds=S of wall clock, patience=K samples without a new best, or entropy=H of "
    "the policy in nats a token. Can be repeated; the first that is met stops.",
)  # fmt: skip
@click.option(
    "--halving", metavar="SHARES",
    help="Train every program with the first of these shares of full training and promote the best, for example "
    "1/9,1/3,1. Default: all in full.",
)  # fmt: skip
@click.option(
    "--populations/--no-populations", default=None,
    help="Score each batch at once, as arrays, or each program by itself. Default: at once where the task can.",
)  # fmt: skip
@worker_options
@tensorboard_option
@click.option("--child-threads", metavar="N", type=int, default=1, show_default=True, help="CPU threads of each child.")
@click.option("--device", metavar="DEVICE", default="cpu", show_default=True, help="cpu, cuda or cuda:N.")
@click.option("--epochs", metavar="N", type=int, help="The same as --set epochs=N.")
@click.option(
    "--data",
    "data",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Data of the task, in place of its own: a text for `text`, a CSV file for `fit`.",
)
@click.option(
    "--set", "settings", metavar="KEY=VALUE", multiple=True,
    help="An option of the task, or with strategy.KEY of the strategy. Can be repeated.",
)  # fmt: skip
@click.option(
    "--run",
    "run",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Run folder. Default: runs/<grammar>-<task>-<time>.",
)
@force_option
@seed_option
@start_table_options
@terminal_options
def command(
    terminal: Terminal,
    grammar: str,
    task: str,
    strategy: str,
    preset: str | None,
    settings: tuple[str, ...],
    rules: tuple[str, ...],
    epochs: int | None,
    data: Path | None,
    run: Path | None,
    is_forced: bool,
    start: str | None,
    max_tokens: int | None,
    start_table: str,
    target_length: float | None,
    target_shares: str,
    halving: str | None,
    workers: int | None,
    tensorboard: bool,
    **plain: Any,
) -> int:
    """Search a space for the program with the highest reward.

    Every sample is recorded in the run folder as it finishes. Ctrl-C stops and saves; `dslc resume` goes on.
    """
    space = compile_space(grammar, start=start, max_tokens=max_tokens)
    terminal.show_diagnostics(space.diagnostics)
    options, strategy_options = read_settings(settings)
    # Only what is given: a strategy without a policy has no such option and says so.
    starts = {"start_table": start_table, "target_length": target_length, "target_shares": target_shares}
    for key, value in starts.items():
        if value and value != "projected":
            strategy_options[key] = value
    if preset is not None:
        if "preset" in strategy_options:
            raise click.UsageError("--preset and --set strategy.preset are the same: give one of them")
        strategy_options["preset"] = preset
    until = read_rules(rules)
    if epochs is not None:
        options["epochs"] = epochs
    if data is not None:
        options["data"] = str(data.absolute())  # the run may be resumed from another folder
    # The first import of torch.
    from dslc.search import search

    terminal.say(f"searching {space.name} for {task} with {strategy}, seed {plain['seed']}")
    callbacks = watchers(tensorboard)
    with open_progress(terminal) as callback:
        result = search(
            space,
            task=task,
            strategy=strategy,
            workers=workers or 0,
            halving=read_shares(halving) if halving else (),
            options=options,
            strategy_options=strategy_options,
            until=until,
            run_dir=run,
            overwrite=is_forced,
            command=shlex.join(["dslc", *(click.get_current_context().obj or [])]),
            callbacks=[callback, *callbacks] if callback else callbacks,
            **plain,
        )
    return show_result(terminal, result)


def watchers(with_tensorboard: bool) -> list[Callable[[Progress], None]]:
    """What a search is watched by beside the terminal: its report, and TensorBoard if it is asked for.

    Raises:
        DslcError: DSLC606 if what TensorBoard needs is not installed.
    """
    from dslc.search.callbacks import LiveReport, TensorBoard

    report = LiveReport(with_end=False)  # the command writes the last page itself
    return [report, TensorBoard()] if with_tensorboard else [report]


def read_settings(settings: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options of the task and of the strategy from texts such as `epochs=5` and `strategy.learning_rate=0.01`.

    Example:
        >>> read_settings(("epochs=5", "strategy.learning_rate=0.01", "note=a=b"))
        ({'epochs': 5, 'note': 'a=b'}, {'learning_rate': 0.01})
    """
    task: dict[str, Any] = {}
    strategy: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not name:
            raise click.UsageError(f"--set takes KEY=VALUE, not `{setting}`")
        where, key = (strategy, name.removeprefix("strategy.")) if name.startswith("strategy.") else (task, name)
        if key in where:
            raise click.UsageError(f"--set gives `{name}` twice")
        where[key] = _read_value(text)
    return task, strategy


def read_shares(text: str) -> tuple[float, ...]:
    """Shares of full training from a text such as `1/9,1/3,1`; whether they rise to 1 is not looked at.

    Example:
        >>> read_shares("1/4, 0.5,1")
        (0.25, 0.5, 1.0)
    """
    try:
        return tuple(float(Fraction("".join(part.split()))) for part in text.split(","))
    except (ValueError, ZeroDivisionError):
        raise click.UsageError(f"--halving takes shares such as 1/9,1/3,1, not `{text}`") from None


def read_rules(rules: tuple[str, ...]) -> dict[str, Any]:
    """Stop rules from texts such as `patience=50`; whether there are such rules is not looked at.

    Example:
        >>> read_rules(("patience=50", "seconds=0.5"))
        {'patience': 50, 'seconds': 0.5}
    """
    until: dict[str, Any] = {}
    for rule in rules:
        name, equals, text = rule.partition("=")
        if not equals or not name:
            raise click.UsageError(f"--until takes RULE=N, such as patience=50, not `{rule}`")
        if name in until:
            raise click.UsageError(f"--until gives `{name}` twice")
        until[name] = _read_value(text)
    return until


def _read_value(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def show_result(terminal: Terminal, result: SearchResult) -> int:
    """Say how a search ended, where everything is and what can be done next; returns the exit code."""
    from dslc.search.report import report_data, write_report
    from dslc.search.stopping import describe_stop

    terminal.show_diagnostics(result.notes)
    data = report_data(result.run_dir)
    terminal.show_document(data)
    try:
        report = str(write_report(result.run_dir, data=data))
    except DslcError as error:  # a page that cannot be written takes nothing from the run
        terminal.show_diagnostics(error.diagnostics)
        report = "not written"
    if not terminal.is_json:
        for line in _result_lines(data, report, describe_stop(data["stopped_by"])):
            terminal.show(line)
    if data["status"] == "interrupted":
        terminal.say(f"interrupted and saved; go on with: dslc resume {shlex.quote(str(result.run_dir))}")
        return Exit.INTERRUPTED
    return Exit.DONE if data["best"] else Exit.NOTHING_USABLE


def _result_lines(data: dict[str, Any], report: str, stop: str | None) -> list[str]:
    total = data["seconds"].get("total")
    took = f" in {clock(total)}" if total is not None else ""
    lines = [f"{data['status']}: {data['evaluations']} samples, {data['trained']} distinct programs trained{took}"]
    if stop is not None:
        lines.append(f"stopped  {stop}, after {data['evaluations']} of {data['planned']} evaluations")
    failed = sum(failure["count"] for failure in data["failures"])
    if failed:
        lines.append(
            f"failed   {failed} samples: " + ", ".join(f"{f['code']} × {f['count']}" for f in data["failures"])
        )
    best, control = data["best"], data["control"]
    if best is not None:
        test = f", {best['test']['metric']} {best['test']['value']:.4g}" if best["test"] else ""
        lines += [f"best     {best['metric']} {best['reward']:.4g}{test}", f"         {best['text']}"]
    else:
        lines.append("best     none: no sample has a reward")
    if control is not None and control["best"] is not None:
        lines.append(
            f"control  best {control['best']:.4g}, mean {control['mean']:.4g} of {control['samples']} uniform samples"
        )
    lines += [f"run      {data['run']}", f"report   {report}"]
    if best is not None and best["source"] is not None:
        lines.append(f"next     dslc best {shlex.quote(data['run'])} -o network.py")
    return lines
