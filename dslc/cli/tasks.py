"""`dslc tasks`: what can be searched for."""

from __future__ import annotations

from typing import Any

import click

from dslc.cli.options import examples, terminal_options
from dslc.cli.terminal import Terminal


@click.command("tasks", short_help="List what can be searched for.", epilog=examples("dslc tasks"))
@terminal_options
def command(terminal: Terminal) -> None:
    """List the tasks that come with dslc: what each measures, for which targets, with which options.

    Your own task is a function reward(program, context) that returns a number, named as --task module:function.
    """
    from dslc.search.tasks import describe_tasks

    document: dict[str, Any] = {"format": "dslc.tasks/1", "tasks": describe_tasks()}
    if not terminal.is_json:
        for task in document["tasks"]:
            for line in _task_lines(task):
                terminal.show(line)
        terminal.say("\nyour own: a function reward(program, context) -> number, as --task module:function")
    terminal.show_document(document)


def _task_lines(task: dict[str, Any]) -> list[str]:
    lines = [
        f"{task['name']}",
        f"  measures     {task['metric']}" + (f" ({task['unit']})" if task["unit"] else ""),
        f"  targets      {', '.join(task['accepts']) if task['accepts'] else 'any'}",
        f"  evaluations  {task['evaluations']}",
        f"  options      {', '.join(f'{name}={value}' for name, value in task['options'].items()) or 'none'}",
    ]
    if task["reference"]:
        lines.append(f"  reference    {task['reference']['value']:.4g} {task['reference']['label']}")
    return lines
