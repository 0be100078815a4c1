"""Two engines as two partitions, with commands forwarded between them, like workers and `recommender move`, in
one process and one step at a time."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from recommender_engine import Entry, Event, Recommender, open_recommender
from recommender_engine.items.moves import FIRST_PAGE
from recommender_engine.matching import MatcherFactory
from tests.support.engine import Log, Models
from tests.support.matchers import cosine_matcher


class Side:
    """One partition: an engine, its log, and all its events.

    Args:
        name: of the partition.
        directory: for its state; ``None`` keeps it in memory.
        matcher: makes its verdicts.
    """

    def __init__(self, name: str, directory: Path | None = None, matcher: MatcherFactory = cosine_matcher) -> None:
        self.name = name
        self.log = Log()
        self._directory = directory
        self._matcher = matcher
        self.engine = self._opened()
        self.entries: list[Entry] = []
        self.events: list[Event] = []

    def add(
        self, type_: str, data: Any, *, via: tuple[str, ...] = (), elsewhere: str | None = None, **named: Any
    ) -> Entry:
        entry = replace(self.log.add(type_, data, **named), via=via, elsewhere=elsewhere)
        self.entries.append(entry)
        return entry

    def decide(self, batch: int = 1000) -> None:
        """Decide the waiting entries in batches of this size."""
        waiting = [entry for entry in self.entries if entry.id > self.engine.position]
        for start in range(0, len(waiting), batch):
            self.events += self.engine.process(waiting[start : start + batch])

    def reopen(self) -> None:
        """As after a kill: only committed data is left."""
        if self._directory is not None:
            self.engine.close()
            self.engine = self._opened()

    def _opened(self) -> Recommender:
        return open_recommender(self._directory, Models(), partition=self.name, matcher=self._matcher)


class Pair:
    """The partitions ``a`` and ``b``.

    Args:
        directory: for their states; ``None`` keeps them in memory.
        matcher: makes their verdicts.
    """

    def __init__(self, directory: Path | None = None, matcher: MatcherFactory = cosine_matcher) -> None:
        self.sides = {name: Side(name, None if directory is None else directory / name, matcher) for name in ("a", "b")}

    def __getitem__(self, name: str) -> Side:
        return self.sides[name]

    def pump(self, *, twice: bool = False) -> bool:
        """Forward commands; ``twice``: as after a crash before this was noted."""
        passed = False
        for side in self.sides.values():
            forwards = side.engine.moves.forwards(1000)
            for one in [*forwards, *(forwards if twice else ())]:
                command = dict(one.command)
                named = {"key": command["key"], "reply_to": command["reply_to"]}
                via = (*command["via"], side.name)
                self.sides[one.target].add(command["type"], command["data"].encode(), via=via, **named)
                passed = True
            side.engine.moves.sent(forwards)
        return passed

    def settle(self, batch: int = 1000, *, twice: bool = False) -> None:
        """Decide and forward until nothing waits."""
        for _ in range(20):
            for side in self.sides.values():
                side.decide(batch)
            if not self.pump(twice=twice):
                return
        raise AssertionError("commands go round in circles")

    def step(self, at: str, name: str, source: str, target: str, move: str = "m1", **more: int) -> None:
        """Append one step of moving the collection ``c`` to the log of a partition, and decide it."""
        said = {"collection": "c", "move": move, "source": source, "target": target, "step": name, **more}
        self.sides[at].add("collection.moved", said)
        self.sides[at].decide()

    def move(self, source: str = "a", target: str = "b", move: str = "m1", part_bytes: int = 1000) -> Iterator[str]:
        """Move the collection ``c``; yields before each step, so that anything can happen there."""
        yield "sealed"
        self.step(source, "sealed", source, target, move)
        yield "begun"
        status = self.sides[source].engine.moving.status("c")
        numbers = {"arrivals": status["arrivals"], "points": status["points"]}
        self.step(target, "begun", source, target, move, **numbers)
        page: str | None = FIRST_PAGE
        while page is not None:
            yield page
            for part in self.parts(source, move, page, part_bytes):
                self.sides[target].add("collection.records", part)
            self.sides[target].decide()
            page = self.sides[target].engine.moving.status("c")["page"]
        yield "arrived"
        self.step(target, "arrived", source, target, move)
        yield "released"
        self.step(source, "released", source, target, move)

    def parts(self, source: str, move: str, page: str, part_bytes: int = 1000) -> list[dict[str, Any]]:
        """The commands that carry a page."""
        found = self.sides[source].engine.moving.page("c", page)
        data = found.data.encode()
        parts = [data[start : start + part_bytes] for start in range(0, len(data), part_bytes)]
        return [
            {
                "collection": "c",
                "move": move,
                "page": page,
                "part": number,
                "parts": len(parts),
                "data": base64.b64encode(part).decode(),
                "sha256": found.sha256,
                "next": found.next,
            }
            for number, part in enumerate(parts)
        ]

    def close(self) -> None:
        for side in self.sides.values():
            side.engine.close()
