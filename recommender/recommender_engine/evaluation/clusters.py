"""Groups of items against the true ones, and groups of one run against those of another."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence

import numpy as np
from scipy.cluster.hierarchy import DisjointSet
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.cluster import contingency_matrix, pair_confusion_matrix

from recommender_engine.items.values import Value


class BCubed(Value):
    """Precision and recall of groups, averaged over items (Bagga and Baldwin 1998).

    Attributes:
        precision: of the items in an item's group, itself included, the share that is the same thing.
        recall: of the items that are the same thing, itself included, the share that is in its group.
        f1: harmonic mean of the two averages.
    """

    precision: float
    recall: float
    f1: float


class Agreement(Value):
    """How far two ways of grouping the same items agree.

    Attributes:
        adjusted_rand: Rand index corrected for chance (Hubert and Arabie 1985); 1 for the same groups, about 0 for
            unrelated ones.
        pairs_in_common: of the pairs that either puts into one group, the share that both do; 1 where neither does.
    """

    adjusted_rand: float
    pairs_in_common: float


def clusters(links: Iterable[tuple[str, str]], ids: Iterable[str] = ()) -> dict[str, int]:
    """The number of each id's cluster, links closed transitively; ``ids`` without a link stand alone."""
    found: DisjointSet[str] = DisjointSet(dict.fromkeys(ids))
    for one, other in links:
        found.add(one)
        found.add(other)
        found.merge(one, other)
    return {id_: number for number, members in enumerate(found.subsets()) for id_ in members}


def bcubed(true: Mapping[str, Hashable], found: Mapping[str, Hashable]) -> BCubed:
    """Compare groups with the true clusters, over the ids of ``found``; every one of them is in ``true``."""
    ids = list(found)
    table = contingency_matrix(_numbers([true[id_] for id_ in ids]), _numbers([found[id_] for id_ in ids]), sparse=True)
    table = table.tocoo()
    counts = table.data.astype(np.float64)
    sizes_true = np.bincount(table.row, counts)
    sizes_found = np.bincount(table.col, counts)
    # Each of the n items in a cell shares it with n items.
    precision = float((counts**2 / sizes_found[table.col]).sum() / len(ids))
    recall = float((counts**2 / sizes_true[table.row]).sum() / len(ids))
    return BCubed(precision=precision, recall=recall, f1=2 * precision * recall / (precision + recall))


def agreement(one: Mapping[str, Hashable], other: Mapping[str, Hashable]) -> Agreement:
    """Compare two groupings of the same ids."""
    ids = sorted(one)
    first, second = _numbers([one[id_] for id_ in ids]), _numbers([other[id_] for id_ in ids])
    (_, only_second), (only_first, both) = pair_confusion_matrix(first, second)
    either = float(both + only_first + only_second)
    return Agreement(
        adjusted_rand=float(adjusted_rand_score(first, second)),
        pairs_in_common=float(both) / either if either else 1.0,
    )


def _numbers(groups: Sequence[Hashable]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    places: dict[Hashable, int] = {}
    return np.array([places.setdefault(group, len(places)) for group in groups], np.int64)
