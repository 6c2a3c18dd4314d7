"""Other engines that say which tokens can come next, each behind the same four calls; see test_bench_peers.py.

Every engine reads the same language over the same texts: the bench grammar without its `%ignore`, each literal closed
by a blank, so that no text is the beginning of another and the tokens are whole terminals. Each is driven by its
fastest documented way on one thread; what it compiles, and its matchers, are made before the clock starts.
"""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
from lark import Lark, Token
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]


class PeerMissingError(Exception):
    """The peer is not installed."""


class PeerRefusesError(Exception):
    """The peer does not take the grammar."""


class Engine(Protocol):
    """Many sequences in step; those still going on at a step are the first `num_live`."""

    def start(self, num_sequences: int) -> None:
        """All sequences at their beginning; not timed."""

    def mask(self, num_live: int) -> None:
        """What can come next, in the engine's own form."""

    def advance(self, tokens: Sequence[int]) -> None:
        """One token of each sequence that goes on."""

    def read_mask(self, num_live: int) -> BoolArray:
        """[num_live, texts + 1] the last mask; the last column is the end. Not timed."""


class Language:
    """A bench grammar as the peers get it."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        lines = [line for line in text.splitlines() if not line.startswith(("//", "%ignore"))]
        self.text = re.sub(r'"([^"]+)"', r'"\1 "', "\n".join(lines)) + "\n"
        self.texts = tuple(dict.fromkeys(re.findall(r'"([^"]+)"', self.text)))
        self.id_of_word = {text.strip(): i for i, text in enumerate(self.texts)}

    @property
    def end(self) -> int:
        """Id of the end of a sentence."""
        return len(self.texts)

    def encode(self, sentence: str) -> list[int]:
        """Ids of the words of a rendered sentence."""
        return [self.id_of_word[word] for word in sentence.split()]


def _import(name: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ImportError as error:
        raise PeerMissingError(f"{name} is not installed ({error})") from None


def _unpack(bits: NDArray[np.int32], num_live: int, width: int) -> BoolArray:
    unpacked = np.unpackbits(bits[:num_live].view(np.uint8), axis=1, bitorder="little")
    return unpacked[:, :width].astype(np.bool_)


class LarkEngine:
    """lark's LALR: `InteractiveParser.accepts` and `feed_token`. Its mask is a set of terminals, not expanded."""

    def __init__(self, language: Language) -> None:
        parser = Lark(language.text, parser="lalr")
        self._parser = parser
        self._width = len(language.texts) + 1
        patterns = {terminal.name: re.compile(terminal.pattern.to_regexp()) for terminal in parser.terminals}
        self._tokens = []
        self._ids: dict[str, list[int]] = {"$END": [language.end]}
        for i, text in enumerate(language.texts):
            (name,) = [name for name, pattern in patterns.items() if pattern.fullmatch(text)]
            self._tokens.append(Token(name, text))
            self._ids.setdefault(name, []).append(i)

    def start(self, num_sequences: int) -> None:
        # lark's own annotations are partial here.
        self._sequences: list[Any] = [self._parser.parse_interactive() for _ in range(num_sequences)]

    def mask(self, num_live: int) -> None:
        self._accepted = [sequence.accepts() for sequence in self._sequences[:num_live]]

    def advance(self, tokens: Sequence[int]) -> None:
        own = self._tokens
        for sequence, token in zip(self._sequences, tokens, strict=False):
            sequence.feed_token(own[token])

    def read_mask(self, num_live: int) -> BoolArray:
        mask = np.zeros((num_live, self._width), np.bool_)
        for row, names in zip(mask, self._accepted, strict=True):
            for name in names:
                row[self._ids[name]] = True
        return mask


class XGrammarEngine:
    """XGrammar's `BatchGrammarMatcher` for masks; tokens by it too, or by `GrammarMatcher.accept_token` one by one."""

    def __init__(self, language: Language, is_batched: bool) -> None:
        xgrammar = _import("xgrammar")
        vocabulary = [*(text.encode() for text in language.texts), b"</s>"]
        self._width = len(vocabulary)
        tokenizer = xgrammar.TokenizerInfo(
            vocabulary, xgrammar.VocabType.RAW, vocab_size=len(vocabulary), stop_token_ids=[language.end]
        )
        try:
            self._compiled = xgrammar.GrammarCompiler(tokenizer, max_threads=1).compile_lark(language.text)
        except RuntimeError as error:
            raise PeerRefusesError(str(error)) from None
        self._xgrammar = xgrammar
        self._batch = xgrammar.BatchGrammarMatcher(max_threads=1)
        self._is_batched = is_batched

    def start(self, num_sequences: int) -> None:
        self._matchers = [self._xgrammar.GrammarMatcher(self._compiled) for _ in range(num_sequences)]
        self._accepts = [matcher.accept_token for matcher in self._matchers]
        self._bits = self._xgrammar.allocate_token_bitmask(num_sequences, self._width)

    def mask(self, num_live: int) -> None:
        self._batch.batch_fill_next_token_bitmask(self._matchers[:num_live], self._bits)

    def advance(self, tokens: Sequence[int]) -> None:
        if self._is_batched:
            self._batch.batch_accept_token(self._matchers[: len(tokens)], tokens)
            return
        for accept, token in zip(self._accepts, tokens, strict=False):
            accept(token)

    def read_mask(self, num_live: int) -> BoolArray:
        return _unpack(self._bits.numpy(), num_live, self._width)


class LlguidanceEngine:
    """llguidance's `LLExecutor` with one thread, or `LLMatcher` one by one.

    With `no_forcing`: else it looks at each step for text that the grammar forces, which takes 2 to 7 times longer.
    """

    def __init__(self, language: Language, is_batched: bool) -> None:
        llguidance = _import("llguidance")
        vocabulary = [*(text.encode() for text in language.texts), b"</s>"]
        self._width = len(vocabulary)

        class Words:
            """What llguidance asks of a tokenizer; without forced text it has nothing to split."""

            eos_token_id = language.end
            bos_token_id = None
            tokens = vocabulary
            special_token_ids = (language.end,)

            def __call__(self, text: bytes) -> list[int]:
                assert text == b"test", "asked once, whether it takes bytes"
                return []

        tokenizer = llguidance.LLTokenizer(llguidance.TokenizerWrapper(Words()), slices=[])
        grammar = llguidance.LLMatcher.grammar_from_lark('%llguidance {"no_forcing": true}\n' + language.text)
        self._first = llguidance.LLMatcher(tokenizer, grammar)
        if self._first.is_error():
            raise PeerRefusesError(self._first.get_error())
        self._numpy = _import("llguidance.numpy")
        self._executor = llguidance.LLExecutor(1) if is_batched else None

    def start(self, num_sequences: int) -> None:
        matchers = [self._first.deep_copy() for _ in range(num_sequences)]
        self._matchers = matchers
        self._with_rows = [(matcher, i) for i, matcher in enumerate(matchers)]
        self._bits = self._numpy.allocate_token_bitmask(num_sequences, self._width)
        begin, size = self._bits.ctypes.data, self._bits.strides[0]
        self._places = [(matcher, begin + i * size, size) for i, matcher in enumerate(matchers)]

    def mask(self, num_live: int) -> None:
        if self._executor is not None:
            self._numpy.fill_next_token_bitmask_par(self._executor, self._with_rows[:num_live], self._bits)
            return
        for matcher, place, size in self._places[:num_live]:
            matcher.unsafe_compute_mask_ptr(place, size)

    def advance(self, tokens: Sequence[int]) -> None:
        if self._executor is not None:
            pairs = list(zip(self._matchers[: len(tokens)], tokens, strict=True))
            self._numpy.consume_token_par(self._executor, pairs)
            return
        for matcher, token in zip(self._matchers, tokens, strict=False):
            matcher.consume_token(token)

    def read_mask(self, num_live: int) -> BoolArray:
        return _unpack(self._bits, num_live, self._width)


class OutlinesEngine:
    """outlines-core's `Guide.write_mask_into` and `advance`; it knows regular languages only."""

    def __init__(self, language: Language) -> None:
        outlines = _import("outlines_core")
        if language.name not in REGEXES:
            raise PeerRefusesError("knows regular expressions only")
        vocabulary = outlines.Vocabulary(language.end, {text: [i] for i, text in enumerate(language.texts)})
        self._index = outlines.Index(REGEXES[language.name], vocabulary)
        self._guide = outlines.Guide
        self._width = language.end + 1

    def start(self, num_sequences: int) -> None:
        guides = [self._guide(self._index) for _ in range(num_sequences)]
        self._bits = np.zeros((num_sequences, (self._width + 31) // 32), np.int32)
        begin, size = self._bits.ctypes.data, self._bits.strides[0]
        self._masks = [(guide.write_mask_into, begin + i * size) for i, guide in enumerate(guides)]
        self._advances = [guide.advance for guide in guides]
        self._numel = self._bits.shape[1]

    def mask(self, num_live: int) -> None:
        numel = self._numel
        for write, place in self._masks[:num_live]:
            write(place, numel, 4)

    def advance(self, tokens: Sequence[int]) -> None:
        for advance, token in zip(self._advances, tokens, strict=False):
            advance(token, False)

    def read_mask(self, num_live: int) -> BoolArray:
        return _unpack(self._bits, num_live, self._width)


def _either(words: str) -> str:
    return "(" + "|".join(f"{word} " for word in words.split()) + ")"


def _write_tree(depth: int) -> str:
    node = _either("add mul max") + _either("identity tanh sigmoid relu sin")
    return node + (rf"\( {_write_tree(depth - 1)}{_write_tree(depth - 1)}\) " if depth else "")


REGEXES = {
    "conv": "("
    + _either("fh1 fh3 fh5 fh7")
    + _either("fw1 fw3 fw5 fw7")
    + _either("sh1 sh2 sh3")
    + _either("sw1 sw2 sw3")
    + _either("nf24 nf36 nf48 nf64")
    + "){1,20}",
    "lstm": _write_tree(3),
}
"""The two regular bench grammars, written as outlines-core wants them."""

PEERS: dict[str, tuple[Callable[[Language], Engine], ...]] = {
    "lark": (LarkEngine,),
    "xgrammar": (partial(XGrammarEngine, is_batched=True), partial(XGrammarEngine, is_batched=False)),
    "llguidance": (partial(LlguidanceEngine, is_batched=True), partial(LlguidanceEngine, is_batched=False)),
    "outlines-core": (OutlinesEngine,),
}
"""Ways to drive each peer; the faster one counts."""
