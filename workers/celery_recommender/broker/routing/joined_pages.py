"""Pages of answers that lie in several partitions: one list, the newest first."""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from recommender_engine.items.cursors import cursor, place_of

_OF_A_PARTITION, _OF_ALL = "answers", "answers of all"


def page_of_all(
    partitions: Sequence[str],
    after: str | None,
    limit: int,
    ask: Callable[[str, str | None], dict[str, Any]],
) -> dict[str, Any]:
    """A page of the answers of all partitions, with a cursor of its own.

    Args:
        partitions: their names.
        after: ``next`` of the page before.
        limit: how many at most.
        ask: a page of one partition, at most ``limit`` answers behind a cursor.

    Raises:
        InvalidCommand: ``after`` is no cursor of this list.
    """
    begun: dict[str, str | None] = dict.fromkeys(partitions)
    if after is not None:
        begun.update(json.loads(*place_of(after, _OF_ALL, (str,))))
    behind = {name: place for name, place in begun.items() if name in partitions and place != ""}
    pages = {name: ask(name, place) for name, place in behind.items()}
    rows = ([(name, row) for row in page["answers"]] for name, page in pages.items())
    taken = list(islice(heapq.merge(*rows, key=lambda one: -one[1]["at_ms"]), limit))
    places = {name: "" for name, place in begun.items() if place == ""}
    for name, page in pages.items():
        ours = [row for of, row in taken if of == name]
        over = len(ours) == len(page["answers"]) and page["next"] is None
        last = cursor(_OF_A_PARTITION, (ours[-1]["number"],)) if ours else behind[name]
        if over or last is not None:
            places[name] = "" if over else str(last)
    more = any(places.get(name) != "" for name in partitions)
    following = cursor(_OF_ALL, (json.dumps(places, separators=(",", ":")),)) if more else None
    return {"answers": [row for _, row in taken], "next": following}
