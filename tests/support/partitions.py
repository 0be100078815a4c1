"""Two engines as two partitions, with commands on their way between them: what workers and `recommender move` do, in
one process and one step at a time."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from recommender import Entry, Event, Recommender, open_recommender
from recommender.items.moves import FIRST_PAGE
from tests.support.engine import Log, Models
from tests.support.matchers import cosine_matcher


class Side:
    """One partition: an engine, its log, and everything it has said."""

    def __init__(self, name: str, directory: Path | None = None) -> None:
        self.name = name
        self.log = Log()
        self._directory = directory
        self.engine = self._opened()
        self.entries: list[Entry] = []
        self.events: list[Event] = []

    def _opened(self) -> Recommender:
        return open_recommender(self._directory, Models(), partition=self.name, matcher=cosine_matcher)

    def add(
        self, type_: str, data: Any, *, via: tuple[str, ...] = (), elsewhere: str | None = None, **named: Any
    ) -> Entry:
        entry = replace(self.log.add(type_, data, **named), via=via, elsewhere=elsewhere)
        self.entries.append(entry)
        return entry

    def decide(self, batch: int = 1000) -> None:
        """Decide what waits, cut into batches of this size."""
        waiting = [entry for entry in self.entries if entry.id > self.engine.position]
        for start in range(0, len(waiting), batch):
            self.events += self.engine.process(waiting[start : start + batch])

    def reopen(self) -> None:
        """As after a kill: nothing but what is committed."""
        if self._directory is not None:
            self.engine.close()
            self.engine = self._opened()


class Pair:
    """The partitions ``a`` and ``b``."""

    def __init__(self, directory: Path | None = None) -> None:
        self.sides = {name: Side(name, None if directory is None else directory / name) for name in ("a", "b")}

    def __getitem__(self, name: str) -> Side:
        return self.sides[name]

    def pump(self, *, twice: bool = False) -> bool:
        """Pass on what is to be passed on; ``twice``: as after a crash before it was noted."""
        moved = False
        for side in self.sides.values():
            forwards = side.engine.moves.forwards(1000)
            for one in [*forwards, *(forwards if twice else ())]:
                command = dict(one.command)
                via = (*command["via"], side.name)
                named = {"key": command["key"], "reply_to": command["reply_to"]}
                self.sides[one.target].add(command["type"], command["data"].encode(), via=via, **named)
                moved = True
            side.engine.moves.sent(forwards)
        return moved

    def settle(self, batch: int = 1000) -> None:
        """Until nothing waits and nothing is to be passed on."""
        for _ in range(20):
            for side in self.sides.values():
                side.decide(batch)
            if not self.pump():
                return
        raise AssertionError("commands go round in circles")

    def move(self, collection: str, source: str, target: str, move: str = "m1") -> Iterator[str]:
        """A move, step by step; yields before each command, so that anything can happen there."""
        here, there = self.sides[source], self.sides[target]
        said = {"collection": collection, "move": move, "source": source, "target": target}

        def step(side: Side, name: str, **more: Any) -> None:
            side.add("collection.moved", {**said, "step": name, **more}, key=f"move {move} {name} {side.name}")
            side.decide()

        yield "sealed"
        step(here, "sealed")
        yield "begun"
        status = here.engine.moving.status(collection)
        step(there, "begun", arrivals=status["arrivals"], points=status["points"])
        page: str | None = FIRST_PAGE
        while page is not None:
            yield f"page {page}"
            found = here.engine.moving.page(collection, page)
            data = {
                "collection": collection,
                "move": move,
                "page": page,
                "part": 0,
                "parts": 1,
                "next": found.next,
                "sha256": found.sha256,
                "data": base64.b64encode(found.data.encode()).decode(),
            }
            there.add("collection.records", data, key=f"move {move} {page} 0")
            there.decide()
            page = there.engine.moving.status(collection)["page"]
        yield "arrived"
        step(there, "arrived")
        yield "released"
        step(here, "released")
        yield "done"

    def close(self) -> None:
        for side in self.sides.values():
            side.engine.close()
