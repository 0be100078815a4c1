"""What a second model would change: verdicts, neighbours, and how well it tells pairs apart that people answered."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
from numpy.typing import NDArray

from celery_recommender.cli.asking import Ask
from celery_recommender.cli.input.stored import gathered, pages
from celery_recommender.replaying import Replayed, Seen, replay, replayed

_NEAREST, _SAMPLE = 10, 200

Vectors = NDArray[np.float32]


class Sides(NamedTuple):
    """The same items by the live model and by the second one.

    Attributes:
        now: with the vectors of the live model.
        then: with those of the second one.
        left_out: how many items the second model has not embedded.
    """

    now: Seen
    then: Seen
    left_out: int


class Told(NamedTuple):
    """How a model judges the pairs that people answered, when it does not know the answers.

    Attributes:
        precision: share of "same" among the pairs that are in one group; ``None`` without such pairs.
        recall: share of the pairs in one group among those with "same"; ``None`` without such pairs.
        ordered: share of the pairs of a "same" and a "different" in which the cosine of the first is higher (area under
            the curve); ``None`` where one of the two was never answered.
    """

    precision: float | None
    recall: float | None
    ordered: float | None


def both_sides(ask: Ask, collection: str, last: int, advance: Callable[[int, int], None]) -> Sides:
    """The newest items of a collection with the vectors of both models.

    Raises:
        ClickException: there is no such collection, or nothing of it has been embedded by a second model.
    """
    now = gathered(ask, collection, last, advance)
    found: dict[str, str] = {}
    dimension = now.dimension
    for page in pages(ask, collection, last, second=True):
        found |= {item["id"]: item["vector"] for item in page["items"] if item["vector"]}
        dimension = page["dimension"]
    there = [item for item in now.items if item["id"] in found]
    if not there:
        raise click.ClickException(f"the second model of {collection!r} has embedded none of these items yet")
    ids = {item["id"] for item in there}
    answers = [one for one in now.answers if {one["item_id"], one["other_id"]} <= ids]
    then = [{**item, "vector": found[item["id"]]} for item in there]
    return Sides(
        replace(now, items=there, answers=answers),
        replace(now, items=then, answers=answers, dimension=dimension),
        len(now.items) - len(there),
    )


def replays(sides: Sides, advance: Callable[[int], None], message_rules: Path | None) -> tuple[Replayed, Replayed]:
    """The verdicts by either model, the live one first."""
    now, then = (replay(one, one.settings, advance, message_rules) for one in sides[:2])
    return now, then


def told(seen: Seen, advance: Callable[[int], None], message_rules: Path | None) -> Told | None:
    """How a model judges the answered pairs; ``None`` without answers."""
    if not seen.answers:
        return None
    pairs = [(one["item_id"], one["other_id"]) for one in seen.answers]
    same = np.array([one["answer"] == "same" for one in seen.answers])
    with replayed(replace(seen, answers=()), seen.settings, advance, message_rules) as (engine, _):
        views = {id_: engine.get(id_, seen.collection) for id_ in {id_ for pair in pairs for id_ in pair}}
    groups = {id_: None if view is None else view.group for id_, view in views.items()}
    together = np.array([groups[one] is not None and groups[one] == groups[other] for one, other in pairs])
    places = {item["id"]: place for place, item in enumerate(seen.items)}
    vectors = vectors_of(seen)
    cosines = np.array([float(vectors[places[one]] @ vectors[places[other]]) for one, other in pairs])
    return Told(
        precision=_share(same[together]),
        recall=_share(together[same]),
        ordered=_ordered(cosines[same], cosines[~same]),
    )


def neighbours_kept(sides: Sides) -> float | None:
    """Share of the ten nearest items that stay among them, on a sample of items, in [0, 1]; ``None`` with few items."""
    one, other = vectors_of(sides.now), vectors_of(sides.then)
    if len(one) <= _NEAREST:
        return None
    chosen = np.linspace(0, len(one) - 1, min(_SAMPLE, len(one))).astype(int)
    before, after = _nearest(one, chosen), _nearest(other, chosen)
    return round(float(np.mean([len(set(a) & set(b)) / _NEAREST for a, b in zip(before, after, strict=True)])), 4)


def vectors_of(seen: Seen) -> Vectors:
    """The vectors of items, shape (n, dimension)."""
    return np.stack([np.frombuffer(base64.b64decode(item["vector"]), "<f4") for item in seen.items])


def _nearest(vectors: Vectors, chosen: NDArray[np.int_]) -> list[list[int]]:
    cosines = vectors[chosen] @ vectors.T
    cosines[np.arange(len(chosen)), chosen] = -2.0  # not the item itself
    found: list[list[int]] = np.argsort(-cosines, axis=1, kind="stable")[:, :_NEAREST].tolist()
    return found


def _share(flags: NDArray[np.bool_]) -> float | None:
    return round(float(flags.mean()), 4) if len(flags) else None


def _ordered(higher: NDArray[np.float64], lower: NDArray[np.float64]) -> float | None:
    if not len(higher) or not len(lower):
        return None
    apart = higher[:, None] - lower[None, :]
    return round(float((apart > 0).mean() + (apart == 0).mean() / 2), 4)
