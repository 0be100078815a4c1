"""Labelled items as a stream: each against the earlier ones that an engine would compare it with.

Statistics of terms are those of the items so far, candidates come from two sides, as in the engine: the nearest by
vector, and those that share its rarest terms.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from recommender_engine.items import Item
from recommender_engine.matching.features.table import compare, features
from recommender_engine.matching.pair.context import contexts, cosines_among
from recommender_engine.matching.pair.profile import ItemTerms, item_terms, profile
from recommender_engine.matching.pair.statistics import CountedTerms
from recommender_engine.pipeline.candidates.search import NEAREST
from recommender_engine.pipeline.candidates.sources import SHARING_WORDS
from recommender_engine.pipeline.lexical.rarest import sharing_rarest


def candidates(said: Sequence[ItemTerms], vectors: np.ndarray) -> np.ndarray:
    """Numbers of each item and of every earlier one to compare it with, shape (n, 2), in order of arrival."""
    counted, seen_in = CountedTerms(), dict[str, list[int]]()
    pairs = []
    for number, one in enumerate(said):
        terms = one.whole.counts
        if number:
            closest = np.argsort(-(vectors[:number] @ vectors[number]), kind="stable")[:NEAREST]
            shared = sharing_rarest(one, counted, lambda term: np.array(seen_in[term], np.int64), SHARING_WORDS)
            found = [*closest.tolist(), *shared]
            pairs += [(number, other) for other in dict.fromkeys(found)]
        counted.add(terms)
        for term in terms:
            seen_in.setdefault(term, []).append(number)
    return np.array(pairs)


def arriving_rows(items: Sequence[Item], pairs: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Features of pairs as they were when the first item of each arrived, shape (n, len(FEATURES))."""
    said = [item_terms(item) for item in items]
    counted = CountedTerms()
    arrived, rows = 0, []
    for start, end in runs(pairs):
        number = int(pairs[start, 0])
        for one in said[arrived : number + 1]:
            counted.add(one.whole.counts)
        arrived = number + 1
        mine = profile(items[number], said[number], counted)
        compared = [
            compare(
                mine,
                profile(items[other], said[other], counted),
                float(vectors[number] @ vectors[other]),
                number - int(other),
            )
            for other in pairs[start:end, 1]
        ]
        found = contexts(compared, cosines_among(vectors[pairs[start:end, 1]]))
        rows += [features(pair, context) for pair, context in zip(compared, found, strict=True)]
    return np.array(rows)


def runs(pairs: np.ndarray) -> list[tuple[int, int]]:
    """Where the candidates of one item begin and end."""
    starts = np.flatnonzero(np.append(True, np.diff(pairs[:, 0]) != 0))
    return list(zip(starts.tolist(), [*starts[1:].tolist(), len(pairs)], strict=True))


def groups_of(count: int, same: Iterable[tuple[int, int]]) -> np.ndarray:
    """The group of each item, links closed transitively, shape (count,)."""
    parent = list(range(count))

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    for one, other in same:
        parent[root(one)] = root(other)
    return np.array([root(number) for number in range(count)])


@dataclass(frozen=True, slots=True)
class StreamFigures:
    """What verdicts on a stream are worth, item by item; each is flagged with its most probable candidate.

    Attributes:
        items: judged.
        repeated: of those, with an earlier true duplicate.
        precision: share of the flagged items whose match is in the same true group.
        recall: share of the repeated items that are flagged with such a match.
        found: share of the repeated items in the duplicate or review band.
        looked_at: share of all items in one of the two.
        candidates: share of the repeated items that have a true duplicate among the candidates.
        recall_at_90: the recall at the lowest threshold with a precision of 0.9.
    """

    items: int
    repeated: int
    precision: float
    recall: float
    found: float
    looked_at: float
    candidates: float
    recall_at_90: float


def stream_figures(
    pairs: np.ndarray,
    groups: np.ndarray,
    probabilities: np.ndarray,
    duplicate_from: float,
    review_from: float,
    judged: np.ndarray | None = None,
) -> StreamFigures:
    """Judge a stream.

    Args:
        pairs: from `candidates`.
        groups: the true group of each item.
        probabilities: of the pairs.
        duplicate_from: where the duplicate band begins.
        review_from: where the review band begins.
        judged: numbers of the items to count; by default all.
    """
    best = {int(pairs[start, 0]): start + int(probabilities[start:end].argmax()) for start, end in runs(pairs)}
    same = groups[pairs[:, 0]] == groups[pairs[:, 1]]
    reachable = set(pairs[same, 0].tolist())
    first = {int(group): number for number, group in reversed(list(enumerate(groups)))}
    chosen = range(len(groups)) if judged is None else judged.tolist()
    repeated = np.array([first[int(groups[number])] < number for number in chosen])
    stated = np.array([probabilities[best[number]] if number in best else 0.0 for number in chosen])
    right = np.array([number in best and bool(same[best[number]]) for number in chosen])
    flagged = stated >= duplicate_from
    count = max(int(repeated.sum()), 1)
    return StreamFigures(
        items=len(repeated),
        repeated=int(repeated.sum()),
        precision=float(right[flagged].mean()) if flagged.any() else float("nan"),
        recall=float(right[flagged].sum() / count),
        found=float(repeated[stated >= review_from].sum() / count),
        looked_at=float((stated >= review_from).mean()),
        candidates=sum(number in reachable for number in chosen) / count,
        recall_at_90=_recall_at(right, stated, 0.9, count),
    )


def _recall_at(right: np.ndarray, stated: np.ndarray, precision: float, repeated: int) -> float:
    sums = np.cumsum(right[np.argsort(-stated, kind="stable")])
    reached = np.flatnonzero(sums >= precision * np.arange(1, len(sums) + 1))
    return float(sums[reached[-1]] / repeated) if len(reached) else 0.0
