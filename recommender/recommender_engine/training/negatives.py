"""Hard negatives: texts that are close to an anchor and do not belong to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recommender_engine.embedding.encoder import Vectors
from recommender_engine.training.examples import Examples, Shape
from recommender_engine.training.forest import Forest
from recommender_engine.training.losses import Loss

_BLOCK = 512
_MOST_OF_POSITIVE = 0.95  # Moreira et al. 2024 (NV-Retriever), section 4.2: closer ones are often positives

Embed = Callable[[Sequence[str]], Vectors]
"""Texts to unit vectors, shape (texts, dimension)."""


def shaped(examples: Examples, loss: Loss, embed: Embed, pool: Mapping[str, str] | None = None) -> Examples:
    """Examples in a shape that the loss is computed on, with hard negatives where it wants them.

    Positives become triplets. Of answers, those that say *different* give the negatives of their texts first.

    Args:
        examples: of any shape that the loss fits.
        loss: to be used.
        embed: the model before it is trained.
        pool: further texts that a negative may come from, such as those of a collection, with the group of each; texts
            of one group belong together.
    """
    if examples.shape is Shape.ANSWERS and loss.name == "cosine":
        return replace(examples, shape=Shape.SCORES)
    if examples.shape in (Shape.POSITIVES, Shape.ANSWERS) and Shape.TRIPLETS in loss.takes:
        return _with_negatives(examples, embed, pool or {})
    return examples


def _with_negatives(examples: Examples, embed: Embed, pool: Mapping[str, str]) -> Examples:
    same = [texts for place, texts in enumerate(examples.texts) if not examples.targets or examples.targets[place]]
    different: dict[str, set[str]] = defaultdict(set)
    for place, (one, other) in enumerate(examples.texts):
        if examples.targets and not examples.targets[place]:
            different[one].add(other)
            different[other].add(one)
    texts = list(dict.fromkeys([*examples.distinct, *pool]))
    places = {text: place for place, text in enumerate(texts)}
    vectors = embed(texts)
    groups = _groups(texts, same, pool)
    triplets = []
    for start in range(0, len(same), _BLOCK):
        block = same[start : start + _BLOCK]
        similarities = vectors[[places[anchor] for anchor, _ in block]] @ vectors.T
        for (anchor, positive), row in zip(block, similarities, strict=True):
            free = groups != groups[places[anchor]]
            known = [place for other in sorted(different[anchor]) if free[place := places[other]]]
            if known:
                triplets.append((anchor, positive, texts[max(known, key=lambda place: row[place])]))
            elif free.any():
                triplets.append((anchor, positive, texts[_closest(row, free, row[places[positive]])]))
    return Examples(Shape.TRIPLETS, tuple(triplets))


def _closest(row: NDArray[np.float32], free: NDArray[np.bool_], positive: float) -> int:
    """The closest that is free and not as close as a positive would be; if all are, the least close."""
    fit = free & (row <= _MOST_OF_POSITIVE * positive)
    return int(np.where(fit, row, -np.inf).argmax() if fit.any() else np.where(free, row, np.inf).argmin())


def _groups(texts: Sequence[str], same: Sequence[tuple[str, ...]], pool: Mapping[str, str]) -> NDArray[np.int64]:
    """For each text the number of its group, by the positives and by the pool, shape (texts,)."""
    forest = Forest()
    for one, *others in same:
        for other in others:
            forest.join(one, other)
    for text, group in pool.items():
        forest.join(text, f"\0{group}")
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(forest.root(text), len(numbers)) for text in texts], np.int64)
