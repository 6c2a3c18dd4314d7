"""A set of 64-bit keys that is asked for thousands at once, in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
Indices = NDArray[np.intp]
_LEAST_BITS = 14


class KeySet:
    """Keys that are evenly spread, as hashes are; 0 counts as 1.

    The table has at least eight cells for each key. A key stands in the cell of its first bits, or if others were there
    before, in the next one that was free.
    """

    def __init__(self, keys: NDArray[Any] | None = None) -> None:
        self._bits, self._count = _LEAST_BITS, 0
        self._table = np.zeros(1 << self._bits, np.uint64)
        if keys is not None:
            self.add_new(keys.astype(np.uint64), len(keys))

    def keys(self) -> Keys:
        """All of them, sorted."""
        return np.sort(self._table[self._table > 0])

    def add_new(self, keys: Keys, limit: int) -> Indices:
        """Adds the first keys, at most so many, that are not in the set, and gives their places in order.

        Of equal keys the first one counts.

        Example:
            >>> keys = KeySet(np.array([7]))
            >>> keys.add_new(np.array([8, 7, 8, 9, 6], np.uint64), 2)
            array([0, 3])
            >>> keys.keys()
            array([7, 8, 9], dtype=uint64)
        """
        keys = np.maximum(keys, np.uint64(1))
        absent: Indices = (self._table.take(self._probe(keys)) == 0).nonzero()[0]
        new: Indices = absent[_find_firsts(keys[absent])[:limit]]
        while 8 * (self._count + len(new)) > len(self._table):
            self._grow()
        self._insert(keys[new])
        return new

    def find(self, keys: Keys) -> Indices:
        """The cells in which keys stand that are in the set; they stay there until the table grows."""
        return self._probe(np.maximum(keys, np.uint64(1)))

    @property
    def num_cells(self) -> int:
        """Of the table, which grows."""
        return len(self._table)

    def _cells(self, keys: Keys) -> Indices:
        return (keys >> np.uint64(64 - self._bits)).view(np.intp)

    def _probe(self, keys: Keys) -> Indices:
        """Of each key the cell in which it stands; if it is absent, the free one at which that is known."""
        cells = self._cells(keys)
        found = self._table.take(cells)
        wrong = ((found != keys) & (found > 0)).nonzero()[0]
        while len(wrong):
            following = cells.take(wrong) + 1 & len(self._table) - 1
            cells[wrong] = following
            found = self._table.take(following)
            wrong = wrong[(found != keys.take(wrong)) & (found > 0)]
        return cells

    def _insert(self, keys: Keys) -> None:
        """Adds different keys that are absent."""
        self._count += len(keys)
        cells = self._cells(keys)
        while len(keys):
            is_free = self._table.take(cells) == 0
            self._table[cells[is_free]] = keys[is_free]
            # Where two wanted the same cell, the last of them has it.
            goes_on = (self._table.take(cells) != keys).nonzero()[0]
            keys, cells = keys[goes_on], cells[goes_on] + 1 & len(self._table) - 1

    def _grow(self) -> None:
        keys, self._bits, self._count = self._table[self._table > 0], self._bits + 1, 0
        self._table = np.zeros(1 << self._bits, np.uint64)
        self._insert(keys)


class KeyNumbers:
    """Numbers for keys, in the order in which they come first."""

    def __init__(self) -> None:
        """No key has a number."""
        self._set = KeySet()
        self._keys = np.empty(1 << _LEAST_BITS, np.uint64)
        """[number], and room for more."""
        self._number_of_cell = np.empty(0, np.intp)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def find(self, keys: Keys) -> tuple[Indices, Indices]:
        """The number of each key, and the places of those that have it since now, in the order of their numbers.

        Example:
            >>> numbers = KeyNumbers()
            >>> numbers.find(np.array([8, 7, 8], np.uint64))
            (array([0, 1, 0]), array([0, 1]))
            >>> numbers.find(np.array([9, 7], np.uint64))
            (array([2, 1]), array([0]))
        """
        new = self._set.add_new(keys, len(keys))
        before, self._count = self._count, self._count + len(new)
        if self._count > len(self._keys):
            self._keys = np.concatenate((self._keys[:before], np.empty(self._count + before, np.uint64)))
        self._keys[before : self._count] = keys[new]
        cells = self._set.find(keys)
        if len(self._number_of_cell) == self._set.num_cells:
            self._number_of_cell[cells.take(new)] = np.arange(before, self._count)
        else:
            self._number_of_cell = np.empty(self._set.num_cells, np.intp)
            self._number_of_cell[self._set.find(self._keys[: self._count])] = np.arange(self._count)
        return self._number_of_cell.take(cells), new


def _find_firsts(keys: Keys) -> Indices:
    """The first place of each key, in order."""
    table = np.empty(1 << _LEAST_BITS, np.intp)
    cells = (keys >> np.uint64(64 - _LEAST_BITS)).view(np.intp)
    is_first = np.zeros(len(keys), bool)
    places = np.arange(len(keys))
    while len(places):
        # The first place of each cell stays there, as the last that is written.
        backwards = places[::-1]
        table[cells.take(backwards)] = backwards
        chosen = table.take(cells.take(places))
        is_first[chosen] = True
        places = places[keys.take(chosen) != keys.take(places)]
    return is_first.nonzero()[0]
