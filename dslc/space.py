"""What users hold: a Space (a compiled grammar) and its Programs."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from dslc.automaton.batch import BatchRuntime
from dslc.automaton.count import Counts
from dslc.automaton.count_totals import count_sentences
from dslc.automaton.derive import tokens_to_derivation
from dslc.automaton.encode import encode_text
from dslc.automaton.fault import find_fault
from dslc.automaton.parse_constrained import is_witness
from dslc.automaton.projection import projected_table
from dslc.automaton.render import render_tokens
from dslc.automaton.sample_batch import BatchSampler
from dslc.automaton.scalar import advance_state, allowed_tokens, start_state
from dslc.automaton.starting import StartingKind, StartingTable, starting_table
from dslc.automaton.tables import Token
from dslc.automaton.tuning import tuned_table
from dslc.automaton.uniform import Lengths as Lengths
from dslc.automaton.uniform import sample_uniform, uniform_next
from dslc.automaton.uniform_batch import uniform_next_log_probs
from dslc.diagnostics import Code, Diagnostic, DslcError, Label, Severity
from dslc.kept_property import kept_property
from dslc.language.ambiguity import Ambiguity, Answer, Method, find_ambiguity
from dslc.language.constraints import Constraint
from dslc.pipeline import Compilation, compile_grammar, compile_start, find_grammar
from dslc.program.canonical import graph_hash
from dslc.program.configure import configure_target
from dslc.program.constants import fitted_nodes, with_constants
from dslc.program.decode import decode_tokens
from dslc.program.elementwise import ElementwiseTables, NotElementwiseError, compile_elementwise
from dslc.program.graph import Graph
from dslc.program.targets import Built, Target
from dslc.program.tree import ParseTree
from dslc.saved_space import is_saved_space, load_compilation, pack_space
from dslc.source import SourceFile
from dslc.write_file import write_file

if TYPE_CHECKING:
    from dslc.automaton.lower import Lowering
    from dslc.program.draw import Drawing
    from dslc.program.emit import PythonSource

FEWEST_IN_STEP = 10
"""Sequences from which on checking them in step is faster than one by one."""


class Space:
    """A compiled grammar: a finite set of token sequences under a budget, countable, drawable and indexable exactly.

    Made by `dslc.compile`, `dslc.compile_text` or `dslc.load`.
    """

    def __init__(self, compilation: Compilation, *, is_loaded: bool = False) -> None:
        self.compilation = compilation
        self.is_loaded = is_loaded
        """It comes from a saved space, so lark may be missing here."""

    def __repr__(self) -> str:
        return f"<Space {self.name} start={self.start} tokens={self.min_tokens}..{self.max_tokens}>"

    # --- what it is -----------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Name of the grammar: its file's name without folder and suffix."""
        return Path(self.compilation.grammar.file.name).stem

    @property
    def file(self) -> SourceFile:
        """The grammar file."""
        return self.compilation.grammar.file

    @kept_property
    def target(self) -> str | None:
        """Name of the target that gives sentences a meaning, or None."""
        return self.compilation.grammar.pragmas.target

    @property
    def start(self) -> str:
        """The start symbol."""
        return self.compilation.start

    @property
    def min_tokens(self) -> int:
        """Tokens of the shortest sentence."""
        return self.lowering.automaton.min_tokens

    @property
    def max_tokens(self) -> int:
        """The budget: the most tokens in a sentence."""
        return self.compilation.max_tokens

    @property
    def vocabulary(self) -> tuple[Token, ...]:
        """All tokens, by id."""
        return self.lowering.automaton.vocabulary

    @cached_property
    def token_labels(self) -> tuple[str, ...]:
        """Labels of all tokens, by id."""
        return tuple(token.label for token in self.vocabulary)

    @property
    def lowering(self) -> Lowering:
        """The automaton with the grammar that it speaks."""
        return self.compilation.lowering

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Warnings and notes of compiling."""
        return self.compilation.diagnostics

    def save(self, path: str | Path) -> Path:
        """Write the compiled grammar to a file, which `dslc.load` reads without lark; returns the path.

        A name that ends in `.dslc` is known by every command; a file of that name is replaced.

        Raises:
            DslcError: DSLC583 if it cannot be written.
        """
        return write_file(Path(path), pack_space(self.compilation))

    @cached_property
    def elementwise(self) -> ElementwiseTables | str:
        """The tables by which populations of this space are evaluated as arrays, or why they are not."""
        if self.target is None:
            return "it has no target"
        try:
            return compile_elementwise(self.lowering, self.meaning())
        except NotElementwiseError as error:
            return str(error)

    # --- exact counting -------------------------------------------------------------------------------------------

    @cached_property
    def _counts(self) -> Counts:
        return count_sentences(self.lowering.automaton, self.max_tokens)

    def exact_counts(self) -> Counts:
        """The counting tables, made once."""
        return self._counts

    def count(self) -> int:
        """Number of token sequences within the budget, exactly; `count_unit` says what they are."""
        return self._counts.total

    def counts(self) -> tuple[int, ...]:
        """Number of token sequences by length: index = number of tokens, 0 to `max_tokens`."""
        return self._counts.by_tokens

    @cached_property
    def ambiguity(self) -> Ambiguity:
        """Whether some sentence has two trees: yes with a witness, no, or unknown."""
        constraining = self.lowering.constraining
        texts = constraining.texts
        if texts is not None:
            found = find_ambiguity(texts.grammar, texts.start)
        else:
            found = find_ambiguity(self.compilation.facts.trimmed, self.start)
        if constraining.totals is None or found.witness is None:
            return found
        # Counts are not regarded so far: the witness shows something only if both of its trees obey them.
        is_ambiguous = is_witness(constraining, found.witness)
        return found if is_ambiguous else Ambiguity(Answer.UNKNOWN, None, Method.NONE)

    @property
    def count_unit(self) -> Literal["sentences", "derivations"]:
        """`sentences` only where it is proved that each has one derivation."""
        return "sentences" if self.ambiguity.answer is Answer.NO else "derivations"

    @cached_property
    def _starting_table(self) -> StartingTable:
        return projected_table(self._counts)

    def starting_table(
        self,
        kind: StartingKind = "projected",
        *,
        target_length: float | None = None,
        target_shares: Mapping[str, float] | None = None,
    ) -> StartingTable:
        """Where a fresh policy starts.

        Args:
            kind: `projected`, the default of searches: the table over (slot, slack) that is nearest to even lengths of
                whole sentences, then uniform. `local`: each slot draws the length of its part evenly from what fits,
                then uniformly, so that sentences of grammars that nest nearly fill the budget.
            target_length: Expected tokens of a sentence. With targets the table is a projected one.
            target_shares: Expected uses of tokens divided by the expected tokens of a sentence, by label, text or
                terminal.

        Raises:
            DslcError: DSLC335 if a token is unknown or no such table meets the targets.
        """
        if target_length is not None or target_shares:
            return tuned_table(self._counts, target_length=target_length, target_shares=target_shares)
        return self._starting_table if kind == "projected" else starting_table(self._counts)

    # --- many at once ---------------------------------------------------------------------------------------------

    @cached_property
    def batch_sampler(self) -> BatchSampler:
        """What draws uniform sentences as arrays; made once."""
        return BatchSampler(self._counts)

    def sample_tokens(self, n: int, *, seed: int | None = None, lengths: Lengths = "uniform") -> NDArray[np.int32]:
        """Token ids of `n` independent sentences, distributed as in `sample`, by the hundred thousand a second.

        Where `sample` draws integers, this draws by float64 ratios of the exact counts; the seed gives other sentences
        than there.

        Returns:
            [n, max_tokens], filled up with the id V = len(vocabulary) behind the end of a sentence.
        """
        return self.batch_sampler.sample(n, np.random.default_rng(seed), lengths)

    def next_probabilities(self, prefix: Sequence[int] = (), *, lengths: Lengths = "uniform") -> dict[int, Fraction]:
        """Probability of each token that can follow `prefix` in what `sample` draws, exactly; empty at the end.

        Raises:
            DslcError: if no sentence within the budget begins so.
        """
        return uniform_next(self._counts, prefix, lengths)

    def next_log_probs(self, tokens: NDArray[np.integer], *, lengths: Lengths = "uniform") -> NDArray[np.float64]:
        """`next_probabilities` for a batch, as logarithms in nats: [batch, time + 1, V + 1] for ids [batch, time].

        Rows are sentences as `sample_tokens` gives them, or prefixes of one length. Entry t stands before token t; -inf
        where no sentence goes on so; behind the end of a sentence, V has 0.

        Raises:
            DslcError: if a row is no sentence, nor the beginning of one.
        """
        return uniform_next_log_probs(self._counts, tokens, lengths)

    # --- programs -------------------------------------------------------------------------------------------------

    def __getitem__(self, index: int) -> Program:
        """The program of that index in 0 .. count() - 1, in order of length, then of choices."""
        if not isinstance(index, int):
            raise TypeError(f"an index is an int, not {type(index).__name__}")
        total = self.count()
        if not -total <= index < total:
            raise IndexError(f"index {index} is outside 0 .. {total - 1}")
        return Program(self, self._counts.unrank(index % total))

    def index(self, tokens: Sequence[int] | str) -> int:
        """Index of a token sequence, the inverse of `space[i]`; a text is accepted where it has one derivation.

        Raises:
            DslcError: if the tokens are no sentence of the space, or the text is ambiguous.
        """
        if isinstance(tokens, str):
            encoding = encode_text(self.lowering, tokens)
            if encoding.is_ambiguous:
                raise DslcError(
                    Diagnostic(
                        Code.AMBIGUOUS_TEXT,
                        Severity.ERROR,
                        f"`{tokens}` has more than one derivation, so no single index",
                        help="give tokens instead of a text",
                    )
                )
            tokens = encoding.tokens
        self._check_tokens(tokens)
        return self._counts.rank(tuple(tokens))

    def sample(self, *, seed: int | None = None, lengths: Lengths = "uniform") -> Program:
        """One program, exactly uniform; with `lengths="even"` its length is drawn first, each length alike."""
        return self.samples(1, seed=seed, lengths=lengths)[0]

    def samples(self, n: int, *, seed: int | None = None, lengths: Lengths = "uniform") -> list[Program]:
        """`n` independent programs, distributed as in `sample`."""
        generator = random.Random(seed)
        return [Program(self, sample_uniform(self._counts, generator, lengths)) for _ in range(n)]

    def parse(self, text: str) -> Program:
        """The program that `text` is a sentence of; the first of its derivations where there are several.

        Raises:
            DslcError: with the first wrong place and what was expected there, or if it has more tokens than the budget.
        """
        program = Program(self, encode_text(self.lowering, text).tokens)
        if len(program.tokens) > self.max_tokens:
            raise DslcError(
                Diagnostic(
                    Code.SENTENCE_OVER_BUDGET,
                    Severity.ERROR,
                    f"the sentence has {len(program.tokens)} tokens, the budget is {self.max_tokens}",
                    help=f"raise the budget, for example --max-tokens {len(program.tokens)}",
                )
            )
        return program

    def decode(self, tokens: Sequence[int]) -> Program:
        """The program of a whole token sequence.

        Raises:
            DslcError: if it is not one, with the first wrong token.
        """
        try:
            self._check_tokens(tokens)
        except DslcError as error:
            fault = self._find_fault(tokens)
            if fault is None:
                raise
            (diagnostic,) = error.diagnostics
            raise DslcError(
                replace(
                    diagnostic,
                    notes=(f"`{fault}` forbids the sentence",),
                    labels=(Label(fault.span, "stated here"),) if fault.span is not None else (),
                )
            ) from None
        return Program(self, tuple(int(token) for token in tokens))

    def decode_all(self, sequences: Sequence[tuple[int, ...]]) -> list[Program]:
        """The programs of many whole token sequences, checked in step: several times faster than one by one.

        Raises:
            DslcError: as `decode` for the first that is none.
        """
        if len(sequences) < FEWEST_IN_STEP or not self._are_sentences(sequences):
            return [self.decode(tokens) for tokens in sequences]
        return [Program(self, tokens) for tokens in sequences]

    def _are_sentences(self, sequences: Sequence[tuple[int, ...]]) -> bool:
        """Whether all are whole sentences within the budget."""
        automaton = self.lowering.automaton
        longest, pad_id = max(len(tokens) for tokens in sequences), automaton.pad_id
        if longest > self.max_tokens:
            return False
        columns = np.full((longest, len(sequences)), pad_id, np.intp)
        for number, tokens in enumerate(sequences):
            columns[: len(tokens), number] = tokens
        if columns.size and not 0 <= columns.min() <= columns.max() <= pad_id:
            return False
        runtime = BatchRuntime(automaton, len(sequences), self.max_tokens)
        every = np.arange(len(sequences))
        for column in columns:  # padding is allowed exactly behind the end
            if not runtime.mask()[every, column].all():
                return False
            runtime.advance(column)
        return bool(runtime.is_done().all())

    def _find_fault(self, tokens: Sequence[int]) -> Constraint | None:
        """The constraint that a token sequence breaks which would be a sentence without it."""
        if not self.lowering.constraining.constraints:
            return None
        try:
            derivation = tokens_to_derivation(self.lowering, tuple(tokens))
        except DslcError:
            return None
        fault = find_fault(self.lowering.constraining, derivation)
        return None if fault is None else fault[0]

    def allowed(self, prefix: Sequence[int] = ()) -> tuple[int, ...]:
        """Ids of the tokens that can follow `prefix` within the budget; empty exactly at the end of a sentence."""
        state = start_state(self.lowering.automaton, self.max_tokens)
        for place, token in enumerate(prefix):
            if token not in allowed_tokens(self.lowering.automaton, state):
                raise self._token_error(place, token, state)
            state = advance_state(self.lowering.automaton, state, token)
        return allowed_tokens(self.lowering.automaton, state)

    def _check_tokens(self, tokens: Sequence[int]) -> None:
        rest = self.allowed(tokens)
        if rest:
            labels = ", ".join(self.vocabulary[token].label for token in rest[:8])
            raise DslcError(
                Diagnostic(
                    Code.TOKENS_NOT_A_SENTENCE,
                    Severity.ERROR,
                    f"the sequence of {len(tokens)} tokens is unfinished",
                    help=f"it can go on with: {labels}{', …' if len(rest) > 8 else ''}",
                )
            )

    def _token_error(self, place: int, token: int, state: Any) -> DslcError:
        known = 0 <= token < len(self.vocabulary)
        label = self.vocabulary[token].label if known else f"id {token}"
        expected = ", ".join(self.vocabulary[t].label for t in allowed_tokens(self.lowering.automaton, state)[:8])
        return DslcError(
            Diagnostic(
                Code.TOKENS_NOT_A_SENTENCE,
                Severity.ERROR,
                f"token {place + 1}, `{label}`, is not allowed there",
                help=f"allowed there: {expected}" if expected else "the sentence is finished before it",
            )
        )

    # --- drawing --------------------------------------------------------------------------------------------------

    def draw(self, what: Literal["automaton", "railroad"] = "railroad") -> Drawing:
        """A drawing of the grammar, as syntax diagrams or as the automaton that it became."""
        from dslc.program.draw import draw_automaton, draw_railroad

        if what == "automaton":
            title = f"{self.name}: {self.start}, at most {self.max_tokens} tokens"
            return draw_automaton(self.lowering.automaton, title=title)
        return draw_railroad(self.compilation.grammar, self.start, title=f"{self.name}: {self.start}")

    def _repr_svg_(self) -> str:
        return self.draw().svg

    def meaning(self) -> Target:
        """The target.

        Raises:
            DslcError: if the grammar names none, or what its `//!` lines say does not fit it.
        """
        if self.target is None:
            raise DslcError(
                Diagnostic(
                    Code.NO_TARGET,
                    Severity.ERROR,
                    f"`{self.name}` has no target, so its sentences have no graph and no code",
                    span=self.file.span(0),
                    help="add a line such as `//! target conv_net`; trees and searches with your own reward need none",
                )
            )
        return self._meaning

    @kept_property
    def _meaning(self) -> Target:
        return configure_target(self.compilation.grammar.pragmas)


class Program:
    """A decoded sentence of a space. Everything but its tokens is made when first asked for."""

    def __init__(self, space: Space, tokens: tuple[int, ...]) -> None:
        self.space = space
        self.tokens = tokens

    def __repr__(self) -> str:
        return f"<Program {self.text!r}>"

    def _repr_svg_(self) -> str:
        return self.draw("graph" if self.space.target else "tree").svg

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Program) and self.space is other.space and self.tokens == other.tokens

    def __hash__(self) -> int:
        return hash(self.tokens)

    @kept_property
    def text(self) -> str:
        """The rendered sentence."""
        return render_tokens(self.space.lowering, self.tokens)

    @kept_property
    def tree(self) -> ParseTree:
        """The parse tree, equal to lark's."""
        return decode_tokens(self.space.lowering, self.tokens)

    @kept_property
    def graph(self) -> Graph:
        """The typed graph that the target makes of the tree.

        Raises:
            DslcError: if the grammar has no target, or the sentence no meaning.
        """
        return self.space.meaning().elaborate(self.tree)

    @kept_property
    def source(self) -> PythonSource:
        """Readable PyTorch source that runs without dslc."""
        target = self.space.meaning()
        return target.emit(self.graph, class_name=None, sentence=self.text)

    def source_with(self, constants: Mapping[str, float]) -> PythonSource:
        """The source with values found for fitted constants as their defaults.

        Args:
            constants: by name (c1, c2, …), such as the metrics of the task `fit`; other names are passed over.
        """
        if not fitted_nodes(self.graph):
            return self.source
        graph = with_constants(self.graph, constants)
        return self.space.meaning().emit(graph, class_name=None, sentence=self.text)

    @kept_property
    def hash(self) -> str:
        """Hex digest of the graph alone, so equal programs have equal hashes; without a target, of text and tokens."""
        if self.space.target is not None:
            return graph_hash(self.graph)
        names = self.space.token_labels
        labels = "\0".join([names[token] for token in self.tokens])
        return sha256(f"{self.text}\0\0{labels}".encode()).hexdigest()

    def build(self, **arguments: Any) -> object:
        """The module or optimizer, with the constructor arguments of the target, or the function.

        Raises:
            DslcError: naming the argument, if one is missing or unknown, or if the constructor fails.
        """
        from dslc.program.load import load_program  # the first import of torch

        return load_program(self.source, self.space.meaning(), arguments)

    @kept_property
    def num_parameters(self) -> int | None:
        """Number of trained parameters, built with the target's example arguments; None for what has none to count."""
        arguments = self.space.meaning().example_arguments
        if arguments is None or self.space.meaning().builds is not Built.MODULE:
            return None
        module: Any = self.build(**arguments)
        return sum(int(parameter.numel()) for parameter in module.parameters())

    def draw(self, what: Literal["tree", "graph"] = "graph") -> Drawing:
        """A drawing of the tree or the graph, with `.svg`, `.dot` and `.save(path)`."""
        from dslc.program.draw import draw_graph, draw_tree

        if what == "tree":
            return draw_tree(self.tree, title=self.text)
        return draw_graph(self.graph, title=self.text, target=self.space.meaning())


def compile(path: str | Path, *, start: str | None = None, max_tokens: int | None = None) -> Space:
    """The space of a grammar file, of a saved space, or of a shipped grammar by its bare name.

    Args:
        path: a `.lark` file, a `.dslc` file, or a name such as `conv_net`.
        start: the start symbol; default: the first that the file names.
        max_tokens: the budget; default: the file's own.

    Raises:
        DslcError: with everything that is wrong with the file.
    """
    if is_saved_space(path):
        return load(path, start=start, max_tokens=max_tokens)
    return Space(compile_grammar(find_grammar(path), start=start, max_tokens=max_tokens))


def compile_text(text: str, *, name: str = "<text>", start: str | None = None, max_tokens: int | None = None) -> Space:
    """The space of a grammar given as text; see `compile`."""
    return Space(compile_grammar(SourceFile(name, text), start=start, max_tokens=max_tokens))


def load(path: str | Path, *, start: str | None = None, max_tokens: int | None = None) -> Space:
    """The space that `Space.save` or `dslc compile` wrote; lark is not needed.

    Args:
        path: the file, whatever its name.
        start: another start symbol than the saved one; the saved grammar is then compiled again.
        max_tokens: another budget than the saved one; the same.

    Raises:
        DslcError: DSLC341 if the file is damaged, DSLC342 or DSLC343 if another version of dslc wrote it.
    """
    saved = load_compilation(path)
    if start in (None, saved.start) and max_tokens in (None, saved.max_tokens):
        return Space(saved, is_loaded=True)
    # What was said of the budget is said again, of the new one.
    found = tuple(diagnostic for diagnostic in saved.diagnostics if diagnostic.code is not Code.DEFAULT_BUDGET)
    compilation = compile_start(saved.grammar, found, start=start or saved.start, max_tokens=max_tokens)
    return Space(compilation, is_loaded=True)
