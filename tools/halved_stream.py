"""What the matcher can know of a stream: learned from all pairs of its first half, judged on its second.

    RECOMMENDER_TEST_DATA=... python -m tools.halved_stream

Bug reports. Once without what only a collection itself can teach, the times between two arrivals; once with them; and
once more with a second model on top, which sees what was said before: how surely an earlier arrival was matched with
the candidate, and how surely the candidate itself repeats something.
"""

from __future__ import annotations

import numpy as np

from recommender_engine.matching import default_model, learn
from recommender_engine.matching.features.table import FEATURES
from recommender_engine.matching.model.boosting import Growth, grow
from recommender_engine.matching.model.learning import UNIVERSAL
from recommender_engine.matching.model.logistic import regress
from recommender_engine.matching.model.pair_model import probability
from tools.fit_matcher import cached_embedder, data_folder, hide
from tools.labelled_sets import load
from tools.streams import runs

PRECISIONS = (0.95, 0.9, 0.85, 0.8)
TIMES = tuple(name for name in FEATURES if name not in UNIVERSAL)
_GROWTH = Growth(trees=100, depth=3, l2=20.0, columns=0.7)


def recalls(pairs: np.ndarray, groups: np.ndarray, stated: np.ndarray, start: int) -> list[float]:
    """Recall at each of `PRECISIONS` of items from number ``start`` on, each flagged with its likeliest candidate."""
    best = np.array([one + int(stated[one:end].argmax()) for one, end in runs(pairs) if pairs[one, 0] >= start])
    right = (groups[pairs[:, 0]] == groups[pairs[:, 1]])[best]
    repeated = sum(bool((groups[:number] == groups[number]).any()) for number in range(start, len(groups)))
    found = np.cumsum(right[np.argsort(-stated[best], kind="stable")])
    flagged = np.arange(1, len(found) + 1)
    return [float(found[found >= precision * flagged].max(initial=0) / repeated) for precision in PRECISIONS]


def said_before(pairs: np.ndarray, stated: np.ndarray, count: int) -> np.ndarray:
    """Of each pair: the highest probability of an earlier match with the candidate, and of the candidate's own.

    Args:
        pairs: in order of arrival.
        stated: their probabilities.
        count: of all items.
    """
    matched, own = np.zeros(count), np.zeros(count)
    found = np.zeros((len(pairs), 2))
    for start, end in runs(pairs):
        others = pairs[start:end, 1]
        found[start:end] = np.stack([matched[others], own[others]], axis=1)
        best = start + int(stated[start:end].argmax())
        matched[pairs[best, 1]] = max(matched[pairs[best, 1]], stated[best])
        own[pairs[best, 0]] = stated[best]
    return found


def second_model(log_odds: np.ndarray, before: np.ndarray, labels: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Log-odds by both, learned from the pairs numbered ``first``."""
    rows = np.column_stack([log_odds, before])
    mass = np.ones(len(first))
    line = regress(rows[first], labels[first], mass, 1.0)
    trees = grow(rows[first], labels[first], mass, [1, 0, 0], _GROWTH)
    weighed: np.ndarray = (line.log_odds(rows) + trees.log_odds(rows)) / 2
    return weighed


def main() -> None:
    source = load("bugs_openoffice", data_folder(), cached_embedder())
    pairs, groups = source.source.pairs, source.source.groups
    if groups is None:
        raise ValueError("bug reports are a stream")
    half = len(groups) // 2
    first = np.flatnonzero(pairs[:, 0] < half)
    print("recall at precision", *PRECISIONS)
    for name, rows in (("without times", hide(source.rows, TIMES)), ("with times", source.rows)):
        log_odds = learn(default_model(), rows[first], source.labels[first]).log_odds(rows)
        before = said_before(pairs, probability(log_odds), len(groups))
        both = second_model(log_odds, before, source.labels, first)
        for what, judged in ((name, log_odds), (f"{name}, and what was said before", both)):
            print(f"{what:36s}", *(f"{recall:.3f}" for recall in recalls(pairs, groups, judged, half)))


if __name__ == "__main__":
    main()
