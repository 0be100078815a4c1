"""One page of a long list: read in steps, so that what is left out costs no more than a bound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from recommender_engine.errors import InvalidCommand
from recommender_engine.store import Place

LOOKED_AT = 500
"""Items that are looked at for a page at most: where most are left out, it is short and has a next one."""

MOST_CHARACTERS = 2_000_000
"""Characters of a page: where texts are that long, it is short and has a next one."""

_STEP = 25

One = TypeVar("One")


def page_of(
    limit: int,
    after: Place,
    places: Callable[[Place, int], Sequence[Place]],
    shown: Callable[[Sequence[Place]], dict[int, tuple[One, int]]],
) -> tuple[list[One], Place | None]:
    """A page, and the place of its last item if more may follow.

    Args:
        limit: how many at most.
        after: the place before the first.
        places: the next ones behind a place, at most so many; fewer only at the end.
        shown: what the page shows of some, by arrival number, with the characters read for it; not of those left out.
    """
    found: list[One] = []
    last, looked, characters = after, 0, 0
    while True:
        step = min(_STEP, limit - len(found) + 1)
        ahead = places(last, step)
        if len(found) == limit:
            return found, last if ahead else None
        kept = shown(ahead)
        for place in ahead:
            if len(found) == limit or characters > MOST_CHARACTERS:
                return found, last
            last = place
            if place.seq in kept:
                one, size = kept[place.seq]
                found.append(one)
                characters += size
        looked += len(ahead)
        if len(ahead) < step:
            return found, None
        if looked >= LOOKED_AT:
            return found, last


def checked_limit(limit: object, most: int) -> int:
    """A number of rows.

    Raises:
        InvalidCommand: it is no whole number between 1 and ``most``.
    """
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= most:
        raise InvalidCommand("invalid_value", f"limit must be between 1 and {most}", "limit")
    return limit
