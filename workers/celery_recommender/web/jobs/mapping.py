"""A map of a collection: its newest items in two dimensions, with their themes, and the sizes of their groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celery_recommender.texts import compared_text
from celery_recommender.web.jobs.collected import pages
from celery_recommender.web.jobs.runner import Failed, Work
from celery_recommender.web.service.service import Service

KIND = "map"
LAST = 2000
"""Items that are drawn."""
_THEMES = 8
_TITLE = 80
_SIZES = 12
"""Groups of so many items or more are one column."""

Floats = NDArray[np.float64]


def mapping(service: Service) -> Callable[[Work], dict[str, Any]]:
    """The work of a job of this kind."""
    return lambda work: _mapped(service, work)


def _mapped(service: Service, work: Work) -> dict[str, Any]:
    from recommender_engine.themes import find_themes, theme_item

    read = [item for page in pages(service, work, LAST) for item in page["items"]]
    items = [theme_item(one["id"], one["compared"] or one["text"], one["fields"], one["vector"]) for one in read]
    if len(items) < 3:
        raise Failed("too_few")
    work.tell("drawing", 0, 1)
    found = find_themes(items)
    theme_of = {id_: place for place, theme in enumerate(found.themes[:_THEMES]) for id_ in theme.members}
    places = plane(np.stack([item.vector for item in items]).astype(np.float64))
    sizes = Counter(min(size, _SIZES) for size in Counter(one["group"] for one in read).values() if size > 1)
    points = [
        [round(float(x), 4), round(float(y), 4), theme_of.get(one["id"], -1), one["band"], one["id"], _title(one)]
        for (x, y), one in zip(places, read, strict=True)
    ]
    return {
        "items": len(read),
        "points": points,
        "themes": [{"label": list(theme.label), "size": theme.size} for theme in found.themes[:_THEMES]],
        "sizes": [[size, sizes[size]] for size in range(2, _SIZES + 1)],
    }


def plane(vectors: Floats) -> Floats:
    """Vectors on the plane of their two largest principal components, each scaled to [0, 1]; shape (n, 2).

    The same vectors give the same picture: of both directions of an axis the one is taken whose largest weight is
    positive.

    Args:
        vectors: shape (n, dimension), n at least 3.
    """
    centred = vectors - vectors.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    axes = directions[:, :-3:-1]
    largest = axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])]
    found = centred @ (axes * np.where(largest < 0, -1.0, 1.0))
    if found.shape[1] < 2:
        found = np.hstack([found, np.zeros((len(found), 1))])
    span = np.ptp(found, axis=0)
    scaled: Floats = (found - found.min(axis=0)) / np.where(span > 0, span, 1.0)
    return scaled


def _title(item: dict[str, Any]) -> str:
    return " ".join(compared_text(item).split())[:_TITLE]
