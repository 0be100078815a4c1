"""Communities of a graph by modularity: the Louvain method (Blondel et al. 2008), without chance.

Nodes are visited in their order, and of equally good communities the one with the smaller number is taken, so that the
same graph gives the same communities.
"""

from __future__ import annotations

from collections.abc import Sequence

Links = dict[int, float]
"""Weights of the edges of a node, by the other node."""

_MOST_SWEEPS = 50  # over the nodes of one level; some ten are enough
_LEAST_GAIN = 1e-12  # of modularity, beyond rounding errors


def communities(graph: Sequence[Links], resolution: float) -> list[int]:
    """The number of the community of each node, shape (nodes,): from 0, in the order of their first nodes.

    Args:
        graph: edges in both directions, with positive weights, none from a node to itself.
        resolution: above 1 for smaller communities than those of plain modularity.
    """
    found = list(range(len(graph)))
    links, within = list(graph), [0.0] * len(graph)
    while True:
        moved = _moved(links, within, resolution)
        numbers: dict[int, int] = {}
        level = [numbers.setdefault(one, len(numbers)) for one in moved]
        if len(numbers) == len(links):
            return found
        found = [level[one] for one in found]
        links, within = _merged(links, within, level, len(numbers))


def _moved(links: Sequence[Links], within: Sequence[float], resolution: float) -> list[int]:
    """Move each node to the neighbouring community with the largest gain, until none moves."""
    community = list(range(len(links)))
    degrees = [sum(edges.values()) + inner for edges, inner in zip(links, within, strict=True)]
    totals = list(degrees)
    scale = resolution / (sum(degrees) or 1.0)
    for _ in range(_MOST_SWEEPS):
        moves = 0
        for node, edges in enumerate(links):
            own, degree = community[node], degrees[node]
            totals[own] -= degree
            shared: Links = {}
            for other, weight in edges.items():
                shared[community[other]] = shared.get(community[other], 0.0) + weight
            best, gain = own, shared.get(own, 0.0) - scale * totals[own] * degree
            for one in sorted(shared):
                better = shared[one] - scale * totals[one] * degree - gain
                if better > _LEAST_GAIN or (better >= -_LEAST_GAIN and one < best):
                    best, gain = one, gain + better
            totals[best] += degree
            community[node] = best
            moves += best != own
        if not moves:
            break
    return community


def _merged(
    links: Sequence[Links], within: Sequence[float], level: Sequence[int], count: int
) -> tuple[list[Links], list[float]]:
    """The graph of the communities."""
    merged: list[Links] = [{} for _ in range(count)]
    inner = [0.0] * count
    for node, edges in enumerate(links):
        one = level[node]
        inner[one] += within[node]
        for other, weight in edges.items():
            if level[other] == one:
                inner[one] += weight
            else:
                merged[one][level[other]] = merged[one].get(level[other], 0.0) + weight
    return merged, inner
