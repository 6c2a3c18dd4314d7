"""`dslc new`: a folder to start from."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from string import Template

import click

from dslc.cli.options import GRAMMAR, examples, force_option, terminal_options
from dslc.cli.terminal import Terminal
from dslc.program.targets import Built, get_target
from dslc.space import compile as compile_space

_NAME = "space"
"""Name of the grammar file of a starter that is not made from another grammar."""


@click.command(
    "new",
    short_help="Make a folder to start from.",
    epilog=examples("dslc new my_search", "dslc new my_nets --from conv_net"),
)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--from", "grammar", metavar="NAME", type=GRAMMAR, help="Start from this grammar: a shipped one or a file."
)
@force_option
@terminal_options
def command(terminal: Terminal, folder: Path, grammar: str | None, is_forced: bool) -> None:
    """Make a folder with a grammar, a reward function, a test of both, and a README with the next commands.

    The test passes as it stands: python -m pytest DIR
    """
    texts = starter_texts(grammar)
    for name in texts:
        terminal.refuse_existing(folder / name, is_forced=is_forced)
    paths = [terminal.write_file(folder / name, text, is_forced=is_forced) for name, text in texts.items()]
    terminal.say(f"\nnext: cd {folder} && python -m pytest   (see {folder / 'README.md'})")
    terminal.show_document({"format": "dslc.files/1", "files": [str(path) for path in paths]})


def starter_texts(grammar: str | None) -> dict[str, str]:
    """Texts of the files of a starter by their names; with `grammar`, around a copy of that one.

    Raises:
        DslcError: if the grammar does not exist, does not compile, or names a target that does not exist.
    """
    templates = files("dslc.cli").joinpath("templates")

    def template(name: str) -> str:
        return templates.joinpath(f"{name}.template").read_text(encoding="utf-8")

    if grammar is None:
        name, reward = _NAME, "reward_fit.py"
        texts = {f"{name}.lark": template("space.lark")}
    else:
        space = compile_space(grammar)
        name, texts = space.name, space.compilation.grammar.texts()
        has_parameters = space.target is not None and get_target(space.target).builds is Built.MODULE
        reward = "reward_size.py" if has_parameters else "reward_text.py"
    return {
        **texts,
        "reward.py": template(reward),
        "test_reward.py": Template(template("test_reward.py")).substitute(name=name),
        "README.md": Template(template("README.md")).substitute(name=name),
    }
