"""The shipped grammars, as files; `grammar_text("conv_net")` reads one."""

from importlib.resources import files


def grammar_names() -> tuple[str, ...]:
    """Names of the shipped grammars, sorted."""
    return tuple(sorted(p.name[:-5] for p in files("dslc.grammars").iterdir() if p.name.endswith(".lark")))


def grammar_text(name: str) -> str:
    """Text of the shipped grammar `name`; raises KeyError for an unknown name."""
    if name not in grammar_names():
        raise KeyError(name)
    return files("dslc.grammars").joinpath(f"{name}.lark").read_text(encoding="utf-8")
