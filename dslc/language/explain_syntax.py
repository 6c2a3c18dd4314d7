"""What is probably meant where a grammar file does not follow lark's syntax."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Explanation:
    """A message for a syntax error, what to do, and the place to show, as offsets in the text."""

    message: str
    help: str
    start: int
    end: int


_WORD = re.compile(r"[A-Za-z_][\w-]*")
_OTHER_COLONS = ("::=", ":=", "=>", "->", "=", "→")


def explain_syntax(text: str, offset: int, length: int = 1) -> Explanation:
    """Why lark's parser of grammar files stopped at `offset`, at something of `length` characters.

    Example:
        >>> explain_syntax("start: 'a'", 7).help
        'write `"a"`'
    """
    rest = text[offset:]
    line_start = text.rfind("\n", 0, offset) + 1
    if not rest.strip() or rest[0] == "\n":
        return _explain_line_end(text, offset)
    return (
        _explain_quotes(text, offset)
        or _explain_name(text, offset, line_start)
        or _explain_colon(text, offset, line_start)
        or _explain_mark(text, offset, line_start)
        or Explanation(
            f"`{rest[:length].strip()}` cannot stand here",
            'a rule is written `name: item item | item`, a terminal `NAME: "text" | "text"`',
            offset,
            offset + length,
        )
    )


def _explain_line_end(text: str, offset: int) -> Explanation:
    """The line, or the file, ends too early."""
    before = _without_comments(text[:offset])
    end = max(1, len(before))
    line = before[before.rfind("\n") + 1 :]
    depth = _open_brackets(line)
    if depth:
        mark = line[depth[-1]]
        start = len(before) - len(line) + depth[-1]
        closing = {"(": ")", "[": "]", "{": "}"}[mark]
        return Explanation(f"`{mark}` is not closed", f"add `{closing}`", start, start + 1)
    if line.endswith("->"):
        return Explanation("no name follows `->`", "write the name of the alternative, in small letters", end - 2, end)
    if re.search(r"~\d*(\.\.)?$", line):
        start = len(before) - len(line) + line.rindex("~")
        return Explanation("no number follows `~`", "write how often, as in `item~3` or `item~1..5`", start, end)
    if word := re.fullmatch(r"\s*([?!]*[\w-]+)", line):
        start = end - len(word.group(1))
        return Explanation(
            f"`{word.group(1)}` is not followed by a colon",
            f"a rule is written `{word.group(1)}: ...`; a rule continued on the next line begins there with `|`",
            start,
            end,
        )
    return Explanation(
        "the line ends too early", "finish the rule; it may go on in a line that begins with `|`", end - 1, end
    )


_PARTS = re.compile(r'"(?:\\.|[^"\\\n])*"|/(?![/*])(?:\\.|[^/\\\n])+/|(?P<comment>//.*|\#.*)|[()\[\]{}]')
"""Strings, regexes, comments and brackets of a line."""


def _without_comments(text: str) -> str:
    """The text without blanks and comments at its end."""
    while True:
        text = text.rstrip()
        line_start = text.rfind("\n") + 1
        comment = next((m for m in _PARTS.finditer(text, line_start) if m.group("comment")), None)
        if comment is None:
            return text
        text = text[: comment.start()]


def _open_brackets(line: str) -> list[int]:
    """Offsets of brackets that are still open at the end of a line, outside strings and regexes."""
    found: list[int] = []
    for part in _PARTS.finditer(line):
        if part.group() in "([{":
            found.append(part.start())
        elif part.group() in ")]}" and found:
            found.pop()
    return found


def _explain_quotes(text: str, offset: int) -> Explanation | None:
    rest = text[offset:].split("\n", 1)[0]
    for mark, name in (("'", "strings"), ("`", "strings"), ("“", "strings"), ("”", "strings"), ("‘", "strings")):
        if rest[0] == mark:
            closed = re.match(r"['`“”‘]([^'`“”’\n]*)['`“”’]", rest)
            advice = f'write `"{closed.group(1)}"`' if closed else 'write `"text"`'
            end = offset + (closed.end() if closed else 1)
            return Explanation(f"{name} are written in straight double quotes", advice, offset, end)
    if rest[0] == '"' and not re.match(r'"(?:\\.|[^"\\])*"', rest):
        advice = 'add `"` at its end, or write `\\"` for a quote inside it'
        return Explanation("the string is not closed", advice, offset, offset + len(rest.rstrip()))
    if rest[0] == "/" and not rest.startswith("/*") and not re.match(r"/(?:\\.|[^/\\])+/", rest):
        advice = "add `/` at its end, or write `\\/` for a slash inside it"
        return Explanation("the regex is not closed", advice, offset, offset + len(rest.rstrip()))
    return None


def _explain_name(text: str, offset: int, line_start: int) -> Explanation | None:
    """Names that mix capitals and small letters, have a hyphen or begin with a digit."""
    start = offset
    while start > line_start and re.match(r"[\w-]", text[start - 1]):
        start -= 1
    word = _WORD.match(text, start)
    if word is None:
        digits = re.compile(r"\d[\w.]*").match(text, start)
        if digits is not None and digits.end() > offset:
            return Explanation(
                f"`{digits.group()}` is neither a name nor a string",
                f'write `"{digits.group()}"`; a repetition is written `item~{digits.group()}`',
                start,
                digits.end(),
            )
        return None
    name = word.group().rstrip("-")
    if word.end() <= offset or len(name) < 2:
        return None
    if name.startswith("__"):
        bare = name.lstrip("_")
        message = f"names that begin with two underscores are reserved: `{name}`"
        return Explanation(message, f"write `{bare}` or `_{bare}`", start, start + len(name))
    letters = name.replace("-", "_")
    if "-" in name:
        return Explanation(f"`{name}` is not a name", f"write `{letters}`", start, start + len(name))
    if name != name.lower() and name != name.upper():
        return Explanation(
            f"the name `{name}` mixes small letters and capitals",
            f"write `{letters.lower()}` for a rule, `{letters.upper()}` for a terminal",
            start,
            start + len(name),
        )
    if not name.isascii():
        advice = "names are made of the letters a to z, digits and `_`"
        return Explanation(f"`{name}` is not a name", advice, start, start + len(name))
    return None


def _explain_colon(text: str, offset: int, line_start: int) -> Explanation | None:
    """Something else stands where the colon of a definition belongs."""
    before = text[line_start:offset]
    rest = text[offset:]
    definition = re.fullmatch(r"\s*([?!]*[A-Za-z_]\w*)\s*", before)
    if definition is not None and rest[0] in '"/([':
        advice = f"write `{definition.group(1)}: ...`; a rule goes on in a line that begins with `|`"
        start = line_start + before.index(definition.group(1))
        message = f"no colon stands after `{definition.group(1)}`"
        return Explanation(message, advice, start, start + len(definition.group(1)))
    if definition is not None:
        for other in _OTHER_COLONS:
            if rest.startswith(other):
                return _instead(other, ":", definition.group(1), offset)
        if word := _WORD.match(rest):
            return Explanation(
                f"no colon stands after `{definition.group(1)}`",
                f"write `{definition.group(1)}: {word.group()}`; a rule goes on in a line that begins with `|`",
                line_start + before.index(definition.group(1)),
                offset - len(before) + len(before.rstrip()),
            )
    if re.fullmatch(r"\s*[?!]*[A-Za-z_]\w*\s*:", before) and rest.startswith(":="):
        return _instead("::=", ":", before.strip().rstrip(":").strip(), offset - 1)
    if re.fullmatch(r"\s*[?!]*[A-Za-z_]\w*\s*:", before) and rest.startswith("="):
        return _instead(":=", ":", before.strip().rstrip(":").strip(), offset - 1)
    if rest.startswith(":"):
        return Explanation("a second colon in one rule", "begin a new rule on a line of its own", offset, offset + 1)
    return None


def _instead(found: str, wanted: str, name: str, offset: int) -> Explanation:
    message = f"`{found}` stands where `{wanted}` belongs"
    return Explanation(message, f"write `{name}{wanted} ...`", offset, offset + len(found))


def _explain_mark(text: str, offset: int, line_start: int) -> Explanation | None:
    """A mark that other notations use, or an operator without an item."""
    rest = text[offset:]
    before = text[line_start:offset]
    first = rest[0]
    if rest.startswith("/*"):
        return Explanation(
            "comments are written with `//`", "begin each line of the comment with `//`", offset, offset + 2
        )
    simple = {
        ";": ("a rule ends at the end of its line, without `;`", "remove it"),
        ",": ("items stand side by side, without a comma", 'remove it, or write `","` if the sentence has a comma'),
        "{": ("lark has no braces for repetition", "write `(item)*`, or `item~1..5`"),
        "}": ("`}` closes nothing", 'remove it, or write `"}"` if the sentence has one'),
        "<": ("names are written without angle brackets", "write the name alone"),
        ">": ("names are written without angle brackets", "write the name alone"),
        ".": ("a dot cannot stand here", 'write `".."` between two characters for a range, as in `"a".."z"`'),
        "=": ("`=` cannot stand here", 'write `:` after the name of a rule, or `"="` if the sentence has one'),
        "&": ("`&` cannot stand here", 'write `"&"` if the sentence has one'),
        "^": ("`^` cannot stand here", 'write `"^"` if the sentence has one'),
        "$": ("`$` cannot stand here", 'write `"$"` if the sentence has one'),
        "@": ("`@` cannot stand here", 'write `"@"` if the sentence has one'),
    }
    if first in simple:
        message, advice = simple[first]
        return Explanation(message, advice, offset, offset + 1)
    if first in ")]":
        opening = {")": "(", "]": "["}[first]
        brackets = _open_brackets(before)
        if brackets:
            other = before[brackets[-1]]
            closing = {"(": ")", "[": "]", "{": "}"}[other]
            return Explanation(f"`{first}` closes `{other}`", f"write `{closing}`", offset, offset + 1)
        advice = f'remove it, add `{opening}`, or write `"{first}"` if the sentence has one'
        return Explanation(f"`{first}` closes nothing", advice, offset, offset + 1)
    if first in "*+?~":
        if re.search(r"[*+?]\s*$", before):
            return Explanation(
                f"two operators in a row: `{before.rstrip()[-1]}{first}`",
                "keep one; `(item+)?` is `item*`",
                offset - len(before) + len(before.rstrip()) - 1,
                offset + 1,
            )
        advice = f'write it after an item, as in `item{first}`, or `"{first}"` if the sentence has one'
        return Explanation(f"`{first}` stands after nothing", advice, offset, offset + 1)
    if (first in "+-" and re.match(r"[+-]\w", rest)) or first == "-":
        return Explanation("`-` cannot stand here", 'write `"-"` if the sentence has one', offset, offset + 1)
    if first == "|" and not before.strip():
        return Explanation(
            "`|` continues no rule", "write the name of the rule and a colon before it", offset, offset + 1
        )
    if first == "%":
        word = re.match(r"%\w*", rest)
        shown = word.group() if word else "%"
        is_known = shown in ("%ignore", "%import", "%override", "%extend", "%declare")
        message = f"`{shown}` cannot stand here" if is_known else f"`{shown}` is unknown"
        known = "`%ignore` and `%import` stand at the beginning of a line of their own"
        return Explanation(message, known, offset, offset + len(shown))
    return None
