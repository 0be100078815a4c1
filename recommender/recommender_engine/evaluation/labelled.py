"""Labelled pairs of items, gathered so that each distinct item is embedded and counted once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from recommender_engine.errors import ConfigurationError
from recommender_engine.evaluation.metrics import Labels
from recommender_engine.items import Item

Places = NDArray[np.int64]


class Split(StrEnum):
    """The use of a pair: to learn from, to choose thresholds by, to judge by."""

    TRAIN = "train"
    VALID = "valid"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class LabelledPair:
    """Two items and whether they are the same thing.

    Attributes:
        left: one item.
        right: the other; where the two come from two lists, always the one of the second list.
        label: whether they are the same thing.
        split: what the pair is used for, if its file says so.
    """

    left: Item
    right: Item
    label: bool
    split: Split | None = None


@dataclass(frozen=True, slots=True)
class PairSet:
    """Labelled pairs over distinct items.

    Attributes:
        items: each distinct item once, under an id of its own.
        left: places in ``items`` of the first of each pair, shape (n,).
        right: places of the second, shape (n,).
        labels: whether they are the same thing, shape (n,).
        splits: what each pair is used for, shape (n,).
        declared: whether that is what the file says, and not chosen here.
    """

    items: tuple[Item, ...]
    left: Places
    right: Places
    labels: Labels
    splits: NDArray[np.str_]
    declared: bool

    def of(self, split: Split) -> Places:
        """Places of the pairs of a split."""
        return np.flatnonzero(self.splits == split)


def gather(pairs: Iterable[LabelledPair]) -> PairSet:
    """Number the distinct items of labelled pairs; where no pair has a split, every one gets one, see `split_of`.

    Items of the left and of the right are kept apart even if they say the same, since they come from two lists.

    Raises:
        ConfigurationError: there is no pair, all labels are the same, or only some of the pairs have a split.
    """
    numbers: dict[tuple[str, str], int] = {}
    items: list[Item] = []
    places, labels, splits = [], [], []
    for pair in pairs:
        for side, item in (("l", pair.left), ("r", pair.right)):
            key = (side, item.model_dump_json(exclude={"id"}))
            if key not in numbers:
                numbers[key] = len(items)
                items.append(item.model_copy(update={"id": f"{side}{len(items)}"}))
            places.append(numbers[key])
        labels.append(pair.label)
        splits.append(pair.split)
    declared = [split is not None for split in splits]
    if all(labels) or not any(labels):
        raise ConfigurationError("pairs of both kinds are needed: some that are the same thing and some that are not")
    if any(declared) and not all(declared):
        raise ConfigurationError("some pairs have a split and some have none: give one to all or to none")
    left, right = np.array(places, np.int64).reshape(-1, 2).T
    chosen = [
        split or split_of(items[one].content, items[other].content)
        for split, one, other in zip(splits, left, right, strict=True)
    ]
    return PairSet(tuple(items), left, right, np.array(labels, np.bool_), np.array(chosen), declared=all(declared))


def split_of(one: str, other: str) -> Split:
    """Three fifths of all pairs for ``train``, one each for ``valid`` and ``test``, by a hash of the two texts."""
    text = "\0".join(sorted((one, other)))
    fifth = int.from_bytes(hashlib.sha256(text.encode(errors="surrogatepass")).digest()[:8]) % 5
    return {0: Split.TEST, 1: Split.VALID}.get(fifth, Split.TRAIN)
