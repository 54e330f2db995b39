"""Orders on small directed graphs: strongly connected parts and longest paths. Iterative, linear in nodes and edges."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def components(after: Sequence[Iterable[int]]) -> list[int]:
    """The number of the strongly connected part that each node lies in.

    after: for each node 0, 1, ... the nodes its edges lead to. Parts are numbered so that an edge between two parts
    leads to the smaller number. Source: R. Tarjan, "Depth-first search and linear graph algorithms" (1972), with an
    explicit stack.
    """
    n = len(after)
    part, low, order = [-1] * n, [0] * n, [-1] * n
    path: list[int] = []
    clock = parts = 0
    for root in range(n):
        if order[root] >= 0:
            continue
        order[root] = low[root] = clock
        clock += 1
        path.append(root)
        work = [(root, iter(after[root]))]
        while work:
            node, rest = work[-1]
            for child in rest:
                if order[child] < 0:
                    order[child] = low[child] = clock
                    clock += 1
                    path.append(child)
                    work.append((child, iter(after[child])))
                    break
                if part[child] < 0:
                    low[node] = min(low[node], order[child])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == order[node]:
                    while True:
                        member = path.pop()
                        part[member] = parts
                        if member == node:
                            break
                    parts += 1
    return part


def sizes(part: Sequence[int]) -> list[int]:
    """How many nodes each part of `components` holds."""
    count = [0] * (max(part, default=-1) + 1)
    for number in part:
        count[number] += 1
    return count


def topological(n: int, edges: Iterable[tuple[int, int]]) -> list[int]:
    """The nodes 0 .. n-1, sources first; a circle is opened at its smallest number."""
    after: list[list[int]] = [[] for _ in range(n)]
    waiting = [0] * n
    for a, b in edges:
        after[a].append(b)
        waiting[b] += 1
    order = [node for node in range(n) if not waiting[node]]
    taken = [not count for count in waiting]
    done = smallest = 0
    while done < n:
        if done == len(order):  # only circles are left
            while taken[smallest]:
                smallest += 1
            taken[smallest] = True
            order.append(smallest)
        for child in after[order[done]]:
            waiting[child] -= 1
            if not waiting[child] and not taken[child]:
                taken[child] = True
                order.append(child)
        done += 1
    return order


def ranks(n: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The length of the longest path that ends in each node; edges that close a circle are disregarded."""
    position = [0] * n
    order = topological(n, edges)
    for place, node in enumerate(order):
        position[node] = place
    after: list[list[int]] = [[] for _ in range(n)]
    for a, b in edges:
        if position[a] < position[b]:
            after[a].append(b)
    rank = [0] * n
    for node in order:
        for child in after[node]:
            rank[child] = max(rank[child], rank[node] + 1)
    return rank
