"""Templates, imports, `%override`, `%extend`, `%declare`, priorities: texts and trees are those of lark."""

from pathlib import Path

import pytest
from lark import Lark, Token, Tree
from lark.exceptions import LarkError

import dslc
from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.program.tree import Leaf, ParseTree

Files = dict[str, str]


def write(folder: Path, files: Files) -> Path:
    """The files of one grammar, `main.lark` the first."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "main.lark"


def open_lark(path: Path, *, explicit: bool = True) -> Lark:
    ambiguity = "explicit" if explicit else "resolve"
    return Lark.open(str(path), parser="earley", lexer="dynamic_complete", ambiguity=ambiguity, maybe_placeholders=True)


def show(node: object) -> object:
    """A tree of either kind as nested tuples; `_ambig` nodes as sets of what they offer."""
    match node:
        case ParseTree():
            return (node.name, *map(show, node.children))
        case Tree(data="_ambig"):
            return frozenset(map(show, node.children))
        case Tree():
            return (str(node.data), *map(show, node.children))
        case Leaf():
            return f"{node.terminal}={node.text}"
        case Token():
            return f"{node.type}={node}"
    return node


# Each is one grammar over files; all its sentences up to a budget are tried.
TEMPLATES: dict[str, Files] = {
    "a list with a separator": {
        "main.lark": '_sep{x, s}: x (s x)*\nstart: _sep{A, ","} ";" _sep{b, ";"}\nb: A\nA: "1" | "2"\n'
    },
    "a node of its own": {
        "main.lark": 'pair{x, y}: x y | y x -> swapped\nstart: pair{A, "x"} pair{"x", A}\nA: "1" | "2"\n'
    },
    "with modifiers": {
        "main.lark": '?one{x}: x | "(" x ")"\n!kept{x}: "<" x ">"\nstart: one{a} kept{a}\na: A\nA: "1" | "2"\n'
    },
    "the first use decides": {"main.lark": 't{x}: x "-"\nstart: t{"1"} t{A}\nA: "1"\n'},
    "the first use decides, kept": {"main.lark": 't{x}: x "-"\nstart: t{A} t{"1"}\nA: "1"\n'},
    "in a rule that keeps": {"main.lark": 't{x}: x "-"\n!start: t{"1"} "2"\n'},
    "given to one that keeps": {"main.lark": 't{x}: x u{x} "-"\n!u{y}: y "+"\nstart: t{"1"} t{_A}\n_A: "2" | "3"\n'},
    "one in another": {
        "main.lark": 'in{x}: "(" x ")"\ntwo{x}: x in{x}\nstart: two{in{A}} | in{two{A}}\nA: "1" | "2"\n'
    },
    "recursive": {"main.lark": 'nest{x, o, c}: x | o nest{x, o, c} c\nstart: nest{A, "(", ")"}\nA: "1" | "2"\n'},
    "recursive with other arguments": {
        "main.lark": 'alt{x, y}: x | x alt{y, x}\nstart: alt{"a", "b"} alt{C, D}\nC: "c"\nD: "d"\n'
    },
    "given as an argument": {
        "main.lark": 'twice{f, x}: f{x} f{x}\nq{x}: "<" x ">"\n_r{x}: "(" x\nstart: twice{q, A} twice{_r, A}\nA: "1"\n'
    },
    "operators on arguments": {
        "main.lark": 'opt{x, y}: x? [y ","] y x~1..2 (x | y "!")*\nstart: "s" opt{A, b}\nb: "b"\nA: "1"\n'
    },
    "brackets around a use": {"main.lark": 't{x}: x\n_t{x}: x\nstart: [t{A}] "," [_t{A}] "," ["x" t{A}]\nA: "1"\n'},
    "strings, regexes, ranges": {"main.lark": '_t{x}: x "," x\nstart: _t{/a|b/} _t{"c".."d"} _t{"e"i} _t{"+"}\n'},
    "extended": {"main.lark": 't{x}: x -> plain\n%extend t{x}: "(" t{x} ")" -> inside\nstart: t{A}\nA: "1" | "2"\n'},
    "overridden": {"main.lark": 't{x}: x\n%override t{y, z}: y z\nstart: t{A, "-"}\nA: "1" | "2"\n'},
    "with a priority": {"main.lark": 't{x}.3: x\nstart.2: t{A}\nA.1: "1" | "2"\n'},
    "names of strings": {"main.lark": '!t{x}: x "while" "++"\n!start: "++" t{"if"} t{IF} "--"\nIF: "when"\n'},
}
IMPORTS: dict[str, Files] = {
    "a rule and what it uses": {
        "main.lark": '%import .ops.expr\nstart: expr "=" expr\n',
        "ops.lark": (
            'expr: atom | atom "+" expr -> add\natom: NUMBER | _x\n_x: "x" _Y\n'
            '_Y: "y"\nNUMBER: DIGIT\nDIGIT: "1" | "2"\n'
        ),
    },
    "renamed": {
        "main.lark": '%import .ops.expr -> e\n%import .ops.NUMBER -> N\nstart: e "=" N\n',
        "ops.lark": 'expr: NUMBER | "(" expr ")" -> inside\nNUMBER: "1" | "2"\n',
    },
    "a list": {
        "main.lark": '%import .ops (expr, NUMBER, _pair)\nstart: expr "=" NUMBER _pair\n',
        "ops.lark": 'expr: _pair | "(" expr ")"\n_pair: NUMBER NUMBER\nNUMBER: "1" | "2"\n',
    },
    "an alias by name": {
        "main.lark": "%import .ops (expr, add)\n%import .ops.neg -> minus\nstart: expr\n",
        "ops.lark": 'expr: A "+" A -> add | "-" A -> neg | A -> leaf\nA: "1" | "2"\n',
    },
    "underscores change": {
        "main.lark": "%import .ops._A -> B\n%import .ops.C -> _D\n"
        "%import .ops._r -> s\n%import .ops.t -> _u\nstart: B _D s _u\n",
        "ops.lark": '_r: _A C | C\nt: _A C\n_A: "1" | "2"\nC: "3" | "4"\n',
    },
    "through two files": {
        "main.lark": "%import .middle.item\n%import .middle.DIGIT\nstart: item DIGIT\n",
        "middle.lark": '%import .base.value\n%import .base.DIGIT\nitem: "[" value "]" | DIGIT\n',
        "base.lark": 'value: SIGN DIGIT | "v" _w\n_w: DIGIT\nSIGN: "+" | "-"\nDIGIT: "1" | "2"\n',
    },
    "the same file twice": {
        "main.lark": "%import .left.l\n%import .right.r\nstart: l r\n",
        "left.lark": '%import .base.value\nl: "l" value\n',
        "right.lark": '%import .base.value\nr: "r" value\n',
        "base.lark": 'value: D\nD: "1" | "2"\n',
    },
    "in folders": {
        "main.lark": "%import .parts.numbers.number\n%import .parts.numbers (digit)\nstart: number digit\n",
        "parts/numbers.lark": (
            '%import .more.sign\n%import .deep.zero.zero\nnumber: sign digit | zero\ndigit: D\nD: "1" | "2"\n'
        ),
        "parts/more.lark": 'sign: S\nS: "+" | "-"\n',
        "parts/deep/zero.lark": 'zero: "0"\n',
    },
    "a template": {
        "main.lark": (
            "%import .lists (list, _sep)\n%import .lists.one -> many\n"
            'start: list{A, ","} many{A} _sep{A}\nA: "1" | "2"\n'
        ),
        "lists.lark": 'list{x, s}: x (s x)~0..2 _sep{x}\n_sep{x}: ";" x\none{x}: x\n',
    },
    "a template under a name": {
        "main.lark": '%import .lists._sep -> sep\n%import .lists.use\nstart: sep{A} use\nA: "1" | "2"\n',
        "lists.lark": '_sep{x}: ";" x\nkept{x}: x "!"\nuse: kept{B}\nB: "3"\n',
    },
    "overridden rule": {
        "main.lark": '%import .ops.expr\n%override expr: "e" expr | "f"\nstart: expr\n',
        "ops.lark": 'expr: NUMBER\nNUMBER: "1" | "2"\n',
    },
    "overridden rule that others use": {
        "main.lark": '%import .ops (outer, inner)\n%override inner: "new"\nstart: outer\n',
        "ops.lark": 'outer: "(" inner ")"\ninner: NUMBER\nNUMBER: "1" | "2"\n',
    },
    "overridden terminal": {
        "main.lark": '%import .ops (A, B)\n%override B: "c"\nstart: A B C\nC: B "!"\n',
        "ops.lark": 'A: B "x" | D\nD: B "z"\nB: "b"\n',
    },
    "extended rule": {
        "main.lark": (
            '%import .ops.expr\n%extend expr: "(" expr ")" -> inside | /n/\n%extend expr: "z"\nstart: expr\n'
        ),
        "ops.lark": '!expr: NUMBER "+" NUMBER | NUMBER\nNUMBER: "1" | "2"\n',
    },
    "extended terminal": {
        "main.lark": '%import .ops (A, B)\n%extend B: "c" | "cc"\nstart: A B\n',
        "ops.lark": 'A: B "x"\nB: "b"\n',
    },
    "extended through two imports": {
        "main.lark": '%import .middle.expr\n%extend expr: "m"\nstart: expr\n',
        "middle.lark": '%import .base.expr\n%extend expr: "(" expr ")"\n',
        "base.lark": 'expr: N\nN: "1" | "2"\n',
    },
    "an inner name is extended": {
        "main.lark": '%import .ops.expr\n%extend ops__atom: "m"\nstart: expr\n',
        "ops.lark": 'expr: atom "+" atom\natom: "1" | "2"\n',
    },
    "changed in the imported file": {
        "main.lark": "%import .ops.expr\nstart: expr\n",
        "ops.lark": 'expr: "x" N\n%extend expr: "y" N\n%override N: "3" | "4"\nN: "1"\n'.replace(
            '%override N: "3" | "4"\nN: "1"\n', 'N: "1"\n%override N: "3" | "4"\n'
        ),
    },
    "declared and defined": {
        "main.lark": '%import .ops (expr, LEAF)\n%override LEAF: "1" | "2"\nstart: expr\n',
        "ops.lark": '%declare LEAF leaf\nexpr: LEAF | "(" expr ")" | leaf\n%override leaf: "l" LEAF\n',
    },
    "what is ignored there": {
        "main.lark": "%import .ops.expr\nstart: expr expr\n",
        "ops.lark": 'expr: "1" | "2"\n%ignore " "\n',
    },
    "lark's own files": {
        "main.lark": '%import common (DIGIT, HEXDIGIT)\n%import .ops.expr\nstart: expr DIGIT "." HEXDIGIT\n',
        "ops.lark": '%import common.DIGIT -> D\nexpr: D | "x"\n',
    },
    "rules of lark's python": {
        "main.lark": '%import python (_add_op, _mul_op, _unary_op)\nstart: "a" _add_op _unary_op "b" _mul_op "c"\n',
    },
    "names of strings": {
        "main.lark": '%import .ops.expr\n!start: expr "if" "++" /q/\n',
        "ops.lark": '!expr: "if" "++" "--" IF /r/\nIF: "when"\n',
    },
    "priorities": {
        "main.lark": '%import .ops.expr\nstart: expr | ident\nident.2: A A\nA.3: "1" | "2"\n',
        "ops.lark": 'expr.1: N N\nN.2: "1" | "3"\n',
    },
}
BUDGET = 7


@pytest.mark.parametrize("files", [*TEMPLATES.values(), *IMPORTS.values()], ids=[*TEMPLATES, *IMPORTS])
def test_sentences_and_trees_are_those_of_lark(files: Files, tmp_path: Path) -> None:
    path = write(tmp_path, files)
    lark = open_lark(path)
    space = dslc.compile(path, max_tokens=BUDGET)
    trees: dict[str, set[object]] = {}
    for index in range(min(space.count(), 300)):
        program = space[index * space.count() // min(space.count(), 300)]
        trees.setdefault(program.text, set()).add(show(program.tree))
    assert trees
    for text, ours in trees.items():
        theirs = show(lark.parse(text))
        offered = theirs if isinstance(theirs, frozenset) else {theirs}
        if any(isinstance(part, frozenset) for tree in offered if isinstance(tree, tuple) for part in tree):
            continue  # ambiguous below the root
        assert ours <= offered, text
    _refuse_changed(space, lark, sorted(trees))


def _refuse_changed(space: dslc.Space, lark: Lark, texts: list[str]) -> None:
    """What lark refuses, dslc refuses, and the other way round, for texts that are nearly sentences."""
    wide = space
    for text in texts[:12]:
        for changed in (text[1:], text[:-1], text[::-1], text + text[-1:]):
            try:
                lark.parse(changed)
                is_theirs = True
            except LarkError:
                is_theirs = False
            try:
                wide.parse(changed)
                is_ours = True
            except DslcError as error:
                (problem,) = error.diagnostics
                is_ours = problem.code is Code.SENTENCE_OVER_BUDGET
            assert is_ours is is_theirs, changed


# --- which files load at all ------------------------------------------------------------------------------------------

LOADING: list[tuple[Files, list[tuple[Code, str, int, int]]]] = [
    ({"main.lark": "%import .a.x\nstart: x\n"}, [(Code.UNKNOWN_IMPORT, "main.lark", 1, 9)]),
    (
        {"main.lark": "%import .a.x\n%import .b.y\nstart: x y\n", "a.lark": "x: 'q'\n", "b.lark": "y: z\n"},
        [(Code.SYNTAX, "a.lark", 1, 4), (Code.UNDEFINED_RULE, "b.lark", 1, 4)],
    ),
    (
        {"main.lark": "%import .a (x, z)\nstart: x z\n", "a.lark": 'x: "1"\ny: "2"\n'},
        [(Code.UNKNOWN_IMPORT, "main.lark", 1, 16)],
    ),
    (
        {"main.lark": "%import .a.x\n%import .b.x\nstart: x\n", "a.lark": 'x: "1"\n', "b.lark": 'x: "2"\n'},
        [(Code.DUPLICATE_DEFINITION, "main.lark", 2, 12)],
    ),
    (
        {"main.lark": '%import .a.x\nstart: x\nx: "2"\n', "a.lark": 'x: "1"\n'},
        [(Code.DUPLICATE_DEFINITION, "main.lark", 3, 1)],
    ),
    (
        {"main.lark": "%import .a.x\nstart: x\n", "a.lark": "x: A\nA: /[0-9]+/\n"},
        [(Code.INFINITE_TERMINAL, "a.lark", 2, 5)],
    ),
    (
        {"main.lark": "%import .a.x\nstart: x\n", "a.lark": "%import common.INT -> N\nx: N\n"},
        [(Code.INFINITE_TERMINAL, "a.lark", 1, 23)],
    ),
    (
        {"main.lark": "%import .a.x\nstart: x\n", "a.lark": "%import .a.x\n"},
        [(Code.RECURSIVE_IMPORT, "a.lark", 1, 9)],
    ),
    (
        {"main.lark": "%import .a.x\nstart: x\n", "a.lark": "%import .main.start\nx: start\n"},
        [(Code.RECURSIVE_IMPORT, "a.lark", 1, 9)],
    ),
    (
        {"main.lark": "%import .a.x\nstart: x\n", "a.lark": "%declare x\n"},
        [(Code.NEVER_DEFINED, "a.lark", 1, 10)],
    ),
    (
        {"main.lark": "%import ._a.x\nstart: x\n", "_a.lark": 'x: _y\n_y: "1"\n'},
        [(Code.UNSUPPORTED_IMPORT, "main.lark", 1, 9)],
    ),
    (
        {"main.lark": "%import .common.x\n%import common.DIGIT\nstart: x DIGIT\n", "common.lark": 'x: "1"\n'},
        [(Code.UNSUPPORTED_IMPORT, "main.lark", 2, 9)],
    ),
    (
        {"main.lark": "%import .a.x -> _x\nstart: _x\n", "a.lark": 'x: "1" -> one | "2"\n'},
        [(Code.MISPLACED_ALIAS, "a.lark", 1, 8)],
    ),
    (
        {"main.lark": "%import .a.x\nstart: x\n", "a.lark": '\0x: "1"\n'},
        [(Code.UNREADABLE_FILE, "a.lark", 1, 1)],
    ),
]


def read_errors(path: Path) -> tuple[Diagnostic, ...]:
    with pytest.raises(DslcError) as caught:
        dslc.compile(path)
    return tuple(d for d in caught.value.diagnostics if d.severity is Severity.ERROR)


@pytest.mark.parametrize(("files", "expected"), LOADING)
def test_what_is_refused_is_shown_in_its_file(
    files: Files, expected: list[tuple[Code, str, int, int]], tmp_path: Path
) -> None:
    errors = read_errors(write(tmp_path, files))
    places = [(d.code, Path(d.span.file.name).name, *d.span.location) for d in errors if d.span]
    assert places[: len(expected)] == expected
    assert all(d.help for d in errors)


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.lark").write_text('x: "1"\n')
    path = write(tmp_path / "inside", {"main.lark": "%import .a.x\n%import .b.a.x -> y\nstart: x y\n"})
    (path.parent / "a.lark").symlink_to(outside / "a.lark")
    (path.parent / "b").symlink_to(outside)
    errors = read_errors(path)
    assert [(d.code, *d.span.location) for d in errors if d.span] == [
        (Code.UNSUPPORTED_IMPORT, 1, 9),
        (Code.UNSUPPORTED_IMPORT, 2, 9),
    ]


def test_imports_that_multiply_end_in_an_error(tmp_path: Path) -> None:
    files = {"main.lark": "%import .a0.x\nstart: x\n"}
    for i in range(20):
        files[f"a{i}.lark"] = f"%import .a{i + 1}.x\n%import .b{i + 1}.x -> y\n"
        files[f"b{i}.lark"] = files[f"a{i}.lark"]
    files |= {"a20.lark": 'x: "1"\n', "b20.lark": 'x: "1"\n'}
    (problem,) = read_errors(write(tmp_path, files))
    assert problem.code is Code.GRAMMAR_TOO_LARGE
    deep = {f"c{i}.lark": f"%import .c{i + 1}.x\n" for i in range(60)}
    (problem,) = read_errors(write(tmp_path, {**deep, "main.lark": "%import .c0.x\nstart: x\n"}))
    assert problem.code is Code.GRAMMAR_TOO_LARGE


@pytest.mark.parametrize(
    "text",
    [
        't{x}: x t{u{x}}\nu{x}: x\nstart: t{"a"}\n',
        "".join(f"t{i}{{x}}: t{i + 1}{{d{{x, x}}}}\n" for i in range(40)) + 't40{x}: x\nd{x, y}: x\nstart: t0{"a"}\n',
    ],
)
def test_templates_that_multiply_end_in_an_error(text: str) -> None:
    with pytest.raises(DslcError) as caught:
        dslc.compile_text(text)
    assert caught.value.diagnostics[-1].code is Code.GRAMMAR_TOO_LARGE


def test_what_has_no_effect_is_noted(tmp_path: Path) -> None:
    files = {
        "main.lark": "%import .a.x\n%import .a.x\nstart: x y\ny.2: x\n",
        "a.lark": '//! max_tokens 3\n//! nonsense\nx.-1: "1" | "2"\n%ignore " "\n',
    }
    notes = list(dslc.check(write(tmp_path, files)))
    notes = [note for note in notes if note.severity is Severity.NOTE]
    assert [(d.code, Path(d.span.file.name).name, d.span.location.line) for d in notes if d.span] == [
        (Code.IMPORTED_LINE, "a.lark", 1),
        (Code.PRIORITY, "a.lark", 3),
        (Code.IMPORTED_LINE, "a.lark", 4),
    ]


def test_texts_of_all_files(tmp_path: Path) -> None:
    files = IMPORTS["in folders"]
    space = dslc.compile(write(tmp_path, files))
    assert space.compilation.grammar.texts() == files


# --- brackets that lark refuses, repetitions --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "B [A?]",
        "[A]~2",
        "[A]~0..1 B",
        "([A] | [B A])* A",
        "[A] [A]",
        '["a"] ["a"]',
        "A? -> x | A -> y",
        "A? -> x | B",
        "[A]~60",
        "(A?)~0..60",
        "[A | B] [B]",
        "[A B] A | A [B]",
        "[[A] B] A",
        "A [B] | A B? -> x",
        "([A] B)+",
        "[_c] A [_c]",
        "[c] A | A",
    ],
)
def test_brackets_are_refused_where_lark_refuses_them(body: str, tmp_path: Path) -> None:
    path = write(tmp_path, {"main.lark": f'start: {body}\n_c: A B\nc: "c"\nA: "a"\nB: "b"\n'})
    try:
        open_lark(path)
        is_refused = False
    except LarkError:
        is_refused = True
    found = {d.code for d in dslc.check(path) if d.severity is Severity.ERROR}
    assert found == ({Code.COLLIDING_OPTIONALS} if is_refused else set())


def test_ten_thousand_copies_share_one_stop() -> None:
    space = dslc.compile_text('start: A~1..10000\nA: "a" | "b"\n', max_tokens=10_000)
    assert [token.label for token in space.vocabulary] == ["A.a", "A.b", "<stop A~1..10000>"]
    automaton = space.lowering.automaton
    tables = [getattr(automaton, name) for name in type(automaton).__dataclass_fields__]
    assert sum(getattr(table, "nbytes", 0) for table in tables) < 5_000_000
    for length in (1, 2, 501):  # to read a text back takes a time that grows with its square
        text = "ab" * (length // 2) + "a" * (length % 2)
        assert len(space.parse(text).tokens) == length + 1
    assert space.allowed((1,) * 9_999) == (0, 1, 2)
    assert space.allowed((1,) * 10_000) == ()  # nothing asks for a stop after the last


def test_a_grammar_in_the_notation_of_others_is_refused_in_one_run(tmp_path: Path) -> None:
    """Layers with case-insensitive words, priorities and terminals that one other shadows."""
    path = write(
        tmp_path,
        {
            "main.lark": 'start: layer ("-" layer)*\nlayer: "dense"i UNITS | "pool" SIZE | NAME\n'
            'UNITS.2: "8" | "16"\nSIZE.2: /[0-9]+/\nOLD.3: "x"\nNAME: /[a-z]+/\n'
        },
    )
    found = {(d.code, d.span.location.line) for d in dslc.check(path) if d.span}
    assert {(Code.INFINITE_TERMINAL, 4), (Code.INFINITE_TERMINAL, 6), (Code.UNUSED_TERMINAL, 5)} <= found
    assert (Code.PRIORITY, 3) in found
