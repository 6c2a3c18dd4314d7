"""Strongly connected components of a small graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

Key = TypeVar("Key")


def find_components(edges: Mapping[Key, Iterable[Key]]) -> list[tuple[Key, ...]]:
    """Nodes that reach one another, grouped; each group after those that it reaches, single nodes included.

    Source:
        Tarjan 1972, with a stack instead of recursion.

    Example:
        >>> find_components({"a": ["b"], "b": ["a", "c"], "c": []})
        [('c',), ('a', 'b')]
    """
    index: dict[Key, int] = {}
    low: dict[Key, int] = {}
    path: list[Key] = []
    on_path: set[Key] = set()
    components: list[tuple[Key, ...]] = []
    for root in edges:
        if root in index:
            continue
        work = [(root, iter(edges[root]))]
        index[root] = low[root] = len(index)
        path.append(root)
        on_path.add(root)
        while work:
            node, rest = work[-1]
            for following in rest:
                if following not in index:
                    index[following] = low[following] = len(index)
                    path.append(following)
                    on_path.add(following)
                    work.append((following, iter(edges[following])))
                    break
                if following in on_path:
                    low[node] = min(low[node], index[following])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    start = len(path) - 1
                    while path[start] != node:  # from behind: what a component costs is its own size
                        start -= 1
                    component = path[start:]
                    del path[start:]
                    on_path.difference_update(component)
                    components.append(tuple(component))
    return components
