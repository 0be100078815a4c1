"""The commands of `benchmarks.ten_days`: every type, with versions, keys, answers, policies, and what is rejected."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, NamedTuple

DAY_MS = 86_400_000
ALIVE = 50
"""Collections that are there at a time, beside the one that stays."""
_SETTINGS: tuple[dict[str, Any], ...] = (
    {"ttl_seconds": 3600},  # less than a collection is there
    {"commands_per_second": 1, "burst": 15},
    {"window_seconds": 3600, "equal": ["shop"], "canonical": "latest"},
    {"rule": "cosine", "only": {"shop": ["1", "2"]}},
    {},
)
_MOVES = 10, 4  # of ten collections, the one with this number


class Said(NamedTuple):
    """A command as it is appended; ``at_ms`` is its position in stream time."""

    at_ms: int
    type: str
    data: dict[str, Any]
    key: str


def moves(number: int) -> bool:
    """Whether a collection moves to the other partition soon after it has come."""
    every, which = _MOVES
    return number % every == which


def commands_of(chance: random.Random, number: int, items: int, at_ms: int) -> list[Said]:
    """One collection comes with so many items and edits, an earlier one goes, and the one that stays is worked on."""
    commands = [
        *_of_owners(),
        *_of_items(chance, number, items),
        *_of_the_one_that_stays(chance, number),
    ]
    if number and moves(number - 1):
        late = {"id": "late", "collection": f"c{number - 1}", "text": text_of(chance)}
        commands.append(("item.upsert", late, None))
    if number >= ALIVE:
        commands.append(("collection.deleted", {"collection": f"c{number - ALIVE}"}, None))
    return [
        Said(at_ms + place, type_, data, key or f"{number} {place}")
        for place, (type_, data, key) in enumerate(commands)
    ]


_Drawn = Iterator[tuple[str, dict[str, Any], str | None]]


def _of_owners() -> _Drawn:
    yield "clock.ticked", {}, None
    yield "command.quarantined", {"entry": "1-1", "reason": "it ended two processes"}, None
    refused = {"source": "celery", "code": "not_json", "message": "it is no JSON"}
    yield "message.refused", {**refused, "payload": "{", "payload_encoding": "utf-8", "payload_bytes": 1}, None


def _of_items(chance: random.Random, number: int, items: int) -> _Drawn:
    name = f"c{number}"
    yield "collection.configured", {"collection": name, "settings": _SETTINGS[number % len(_SETTINGS)]}, None
    for n in range(items):
        result = {"title": text_of(chance), "details": text_of(chance)} if n % 4 == 3 else None
        content = {"fields": result} if result else {"text": text_of(chance)}
        item = {"id": f"i{n % 8}", "collection": name, **content, "attributes": {"shop": str(n % 3)}}
        command = {**item, "version": n + 1, "silent": n % 5 == 0}
        yield "item.upsert", command, f"{name} {n}"
        if n % 6 == 0:
            yield "item.upsert", command, f"{name} {n}"  # sent twice
    yield "item.upsert", {"id": "i1", "collection": name, "text": "another body"}, f"{name} 0"
    yield "item.upsert", {"id": "i1", "collection": name, "text": text_of(chance), "version": 0}, None  # too old
    yield "item.patch", {"id": "i1", "collection": name, "attributes": {"price": number % 100}}, None
    for other, answer in (("i4", "same"), ("i5", "different"), ("i5", "unsure"), ("i6", "different")):
        yield "feedback.given", {"id": "i0", "collection": name, "other": other, "answer": answer, "by": "p"}, None
    for id_ in ("i0", "i7"):  # the one is a duplicate since it was said so, the other mostly none
        yield "feedback.given", {"id": id_, "collection": name, "answer": "wrong"}, None
    yield "item.delete", {"id": "i2", "collection": name, "version": items + 1}, None
    yield "item.delete", {"id": f"never {number}", "collection": name, "version": 1}, None
    yield "item.erase", {"id": "i3", "collection": name}, None


def _of_the_one_that_stays(chance: random.Random, number: int) -> _Drawn:
    stays = {"id": f"s{number % 500}", "collection": "stays"}
    yield "item.upsert", {**stays, "text": text_of(chance), "version": number}, None
    yield "item.delete", {**stays, "id": f"s{(number * 7) % 500}", "version": number}, None
    yield "item.upsert", {"id": "nothing", "attributes": {"note": "x" * 10_000}}, None  # rejected, and long
    yield "item.upsert", {"text": "no id"}, None


def text_of(chance: random.Random) -> str:
    """A dozen words, a few of them common and most of them rare."""
    return " ".join(f"word{int(3000 * chance.random() ** 3)}" for _ in range(12))
