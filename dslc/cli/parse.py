"""`dslc parse`: a sentence to its tree and tokens."""

from __future__ import annotations

import click

from dslc.automaton.encode import encode_text
from dslc.cli.options import examples, grammar_argument, max_tokens_option, start_option, terminal_options
from dslc.cli.terminal import Terminal
from dslc.describe import describe_program
from dslc.program.tree import Leaf, ParseTree
from dslc.space import compile as compile_space


@click.command(
    "parse",
    short_help="Show the tree and the tokens of a sentence.",
    epilog=examples('dslc parse activation "x x identity sigmoid mul"'),
)
@grammar_argument
@click.argument("sentence")
@start_option
@max_tokens_option
@terminal_options
def command(terminal: Terminal, grammar: str, sentence: str, start: str | None, max_tokens: int | None) -> None:
    """Show the tree and the tokens of a sentence; a caret marks the first wrong place, with what was expected there."""
    space = compile_space(grammar, start=start, max_tokens=max_tokens)
    terminal.show_diagnostics(space.diagnostics)
    program = space.parse(sentence)
    is_ambiguous = encode_text(space.lowering, sentence).is_ambiguous
    document = describe_program(program, is_ambiguous=is_ambiguous)
    terminal.show(outline_tree(program.tree))
    labels = [space.vocabulary[token].label for token in program.tokens]
    terminal.show(f"\ntokens  {' '.join(labels)}")
    terminal.show(f"ids     {' '.join(map(str, program.tokens))}")
    terminal.show(f"index   {document['index']} of {space.count()}")
    if is_ambiguous:
        terminal.say("the sentence has more than one tree; this is the first")
    terminal.show_document(document)


def outline_tree(tree: ParseTree) -> str:
    """A tree as indented text, one node a line; the terminals of a rule that holds nothing else stand on its line.

    Example:
        >>> print(outline_tree(ParseTree("start", (ParseTree("layer", (Leaf("SIZE", "3"), None)),))))
        start
          layer  SIZE 3  –
    """
    lines = []
    stack: list[tuple[int, ParseTree | Leaf | None]] = [(0, tree)]
    while stack:
        depth, node = stack.pop()
        indent = "  " * depth
        if not isinstance(node, ParseTree):
            lines.append(indent + _leaf_text(node))
            continue
        name = f"{node.name} ({node.rule})" if node.rule and node.rule != node.name else node.name
        if any(isinstance(child, ParseTree) for child in node.children):
            lines.append(indent + name)
            stack.extend((depth + 1, child) for child in reversed(node.children))
        else:
            leaves = [_leaf_text(child) for child in node.children if not isinstance(child, ParseTree)]
            lines.append(indent + "  ".join([name, *leaves]))
    return "\n".join(lines)


def _leaf_text(leaf: Leaf | None) -> str:
    return "–" if leaf is None else f"{leaf.terminal} {leaf.text}"
