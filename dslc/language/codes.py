"""Whether texts written one after the other can be told apart again."""

from __future__ import annotations

from collections.abc import Collection


def is_code(words: Collection[str]) -> bool:
    """True if no text is a product of these words in two ways.

    Source:
        Sardinas & Patterson 1953: follow what one reading is ahead of the other ("dangling suffixes").

    Example:
        >>> is_code(["a", "ab", "bb"]), is_code(["a", "ab", "b"])
        (True, False)
    """
    known = set(words)
    if "" in known or len(known) < len(words):
        return False
    lengths = sorted({len(word) for word in known})
    work = [rest for word in sorted(known) for rest in _suffixes_ahead(word, known, lengths) if rest]
    seen: set[str] = set()
    starts: dict[str, list[str]] = {}
    for word in known:
        starts.setdefault(word[0], []).append(word)
    while work:
        ahead = work.pop()
        if ahead in known:
            return False
        if ahead in seen:
            continue
        seen.add(ahead)
        work.extend(_suffixes_ahead(ahead, known, lengths))
        work.extend(word[len(ahead) :] for word in starts.get(ahead[0], ()) if word.startswith(ahead) and word != ahead)
    return True


def splits_into_words(word: str, words: Collection[str]) -> bool:
    """True if `word` is a product of two or more of the words.

    Example:
        >>> splits_into_words("12", ["1", "2", "12"]), splits_into_words("12", ["2", "12"])
        (True, False)
    """
    known = set(words) - {word, ""}
    lengths = sorted({len(other) for other in known})
    reached = {0}
    for place in range(len(word)):
        if place in reached:
            reached.update(place + n for n in lengths if word[place : place + n] in known)
    return len(word) in reached


def _suffixes_ahead(word: str, known: set[str], lengths: list[int]) -> list[str]:
    return [word[n:] for n in lengths if n < len(word) and word[:n] in known]
