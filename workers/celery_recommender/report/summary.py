"""What a report shows, counted from items with their verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import nlargest, nsmallest
from typing import Any, NamedTuple

from celery_recommender.texts import compared_text

BINS = 100
"""Bins of the histogram, each a hundredth wide; the last one holds 1 too."""

MOST_PAIRS, MOST_GROUPS, MOST_MEMBERS = 500, 100, 20
_LONGEST_TEXT = 300
_BANDS = ("duplicate", "review", "similar", "new")
MATCHED = _BANDS[:2]
"""Bands whose items are shown beside their closest match."""


class Shown(NamedTuple):
    """An item as the page shows it; ``text`` is cut."""

    id: str
    text: str


class Pair(NamedTuple):
    """An item and its closest match.

    Attributes:
        item: that arrived.
        other: its closest match.
        band: of the item.
        probability: that the two are the same thing, in [0, 1].
        reasons: texts of the reasons, strongest first.
    """

    item: Shown
    other: Shown
    band: str
    probability: float
    reasons: tuple[str, ...]


class Group(NamedTuple):
    """Items that are the same thing.

    Attributes:
        canonical: the item that represents it.
        size: how many items it has.
        members: the others, in order of arrival, at most ``MOST_MEMBERS``.
    """

    canonical: Shown
    size: int
    members: tuple[Shown, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """The content of a report.

    Attributes:
        title: what the items are.
        items: how many.
        bands: items by band.
        histogram: items that have a match, by probability of the match; ``BINS`` counts.
        sizes: number of groups of each size from 2 on, ascending by size.
        groups: the largest.
        pairs: most probable first: of the duplicates the least certain, of the reviews the most probable.
        pairs_in_all: how many duplicates and reviews there are.
    """

    title: str
    items: int
    bands: Mapping[str, int]
    histogram: tuple[int, ...]
    sizes: Mapping[int, int]
    groups: tuple[Group, ...]
    pairs: tuple[Pair, ...]
    pairs_in_all: int

    @property
    def groups_in_all(self) -> int:
        """Groups of two or more."""
        return sum(self.sizes.values())


def summarise(
    views: Iterable[Mapping[str, Any]],
    title: str,
    others: Mapping[str, str] | None = None,
    most_pairs: int = MOST_PAIRS,
) -> Summary:
    """Count items with their verdicts; keeps the first 300 characters of each text until it is done.

    Args:
        views: as ``recommender.get`` answers them, in order of arrival. Of those in no band of ``MATCHED``,
            ``canonical_id`` may be ``None``, and ``matched_id`` any text where there is a match.
        title: what the items are.
        others: texts of items by id that are matched and are not among the views.
        most_pairs: how many pairs are shown at most.
    """
    texts = {id_: _cut(text) for id_, text in (others or {}).items()}
    bands: Counter[str] = Counter(dict.fromkeys(_BANDS, 0))
    histogram = [0] * BINS
    members: dict[str, list[str]] = {}
    canonical: dict[str, str] = {}
    matched: list[tuple[float, str, str, str, tuple[str, ...]]] = []
    for view in views:
        id_, band, probability = view["item_id"], view["band"], view["probability"]
        texts[id_] = _cut(compared_text(view))
        bands[band] += 1
        members.setdefault(view["group"], []).append(id_)
        canonical.setdefault(view["group"], id_)
        if view["canonical_id"] is not None:
            canonical[view["group"]] = view["canonical_id"]
        if view["matched_id"] is not None:
            histogram[min(int(probability * BINS), BINS - 1)] += 1
            if band in MATCHED:
                reasons = tuple(reason["text"] for reason in view["reasons"])
                matched.append((probability, band, id_, view["matched_id"], reasons))
    several = {group: ids for group, ids in members.items() if len(ids) > 1}

    def shown(id_: str) -> Shown:
        return Shown(id_, texts.get(id_, ""))

    return Summary(
        title=title,
        items=sum(bands.values()),
        bands=dict(bands),
        histogram=tuple(histogram),
        sizes=dict(sorted(Counter(map(len, several.values())).items())),
        groups=tuple(
            Group(
                shown(canonical[group]),
                len(ids),
                tuple(shown(id_) for id_ in ids if id_ != canonical[group])[:MOST_MEMBERS],
            )
            for group, ids in nlargest(MOST_GROUPS, several.items(), key=lambda one: len(one[1]))
        ),
        pairs=tuple(
            Pair(shown(id_), shown(other), band, probability, reasons)
            for probability, band, id_, other, reasons in _chosen(matched, most_pairs)
        ),
        pairs_in_all=len(matched),
    )


def _chosen(matched: list[Any], most: int) -> list[Any]:
    """Pairs on both sides of the border between the two bands, and of those behind it as many as there is room for."""
    duplicates = [one for one in matched if one[1] == "duplicate"]
    reviews = [one for one in matched if one[1] != "duplicate"]
    room = max(most - len(reviews), most // 2)
    chosen = nsmallest(room, duplicates, key=lambda one: one[0])
    chosen += nlargest(most - len(chosen), reviews, key=lambda one: one[0])
    return sorted(chosen, key=lambda one: one[0], reverse=True)


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"
