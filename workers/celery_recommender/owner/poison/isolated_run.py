"""Deciding commands where nothing can be harmed: in a process of its own, on a state that is thrown away.

That state is a copy of the real one, so what harms only beside what is stored is found as well; or an empty one, where
a copy cannot be had.
"""

from __future__ import annotations

import json
import math
import resource
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from celery_recommender.broker.commands.log import decode
from celery_recommender.broker.coordination.proofs import Secrets
from celery_recommender.broker.redis.ranges import Fields
from recommender_engine import open_recommender
from recommender_engine.embedding import Encoders
from recommender_engine.errors import EncodingError
from recommender_engine.items import CollectionSettings, Entry, EntryId, UpsertItem, decode_entry

READY, PASSED, FAILED = b"ready", b"passed", b"failed "
_GRACE_S = 5.0
_HARMLESS = "hello"


@dataclass(frozen=True, slots=True)
class TrialSetup:
    """What a rehearsal stands on.

    Attributes:
        encoders: the embedding models.
        settings: of the collections concerned, by name; for an empty state.
        secrets: by which commands of owners and movers are proven.
        raw: the commands, as they stand in the log.
        partition: whose they are.
        most_collections: that there may be.
        state: directory with a copy of the real state, which changes; ``None``: an empty state for each rehearsal.
        message_rules: file with phrases that are cut from texts besides our own.
    """

    encoders: Encoders
    settings: Mapping[str, CollectionSettings]
    secrets: Secrets
    raw: Sequence[tuple[EntryId, Fields]]
    partition: str
    most_collections: int
    state: Path | None = None
    message_rules: Path | None = None


def run_on_demand(ground: TrialSetup, connection: Connection) -> None:
    """The main function of the process: rehearse what is asked for, until the other side has gone.

    First it shows that it can work at all, on a text that does no harm. An answer is a word, never an object.

    Args:
        ground: the commands, and what they are decided on.
        connection: asks for places from .. to, with a limit in seconds.
    """
    _expect_the_worst()
    # None is late: the owner died over them.
    entries = [decode(id_, fields, id_.ms, permits=ground.secrets.permits) for id_, fields in ground.raw]
    stage: _Stage | None = None

    def begin() -> None:
        nonlocal stage
        stage = _Empty(ground) if ground.state is None else _Copy(ground, ground.state)
        stage.warm_up(entries)

    connection.send_bytes(_harm(begin) or READY)
    while stage is not None:
        try:
            start, end, limit_s = json.loads(connection.recv_bytes())
        except EOFError:
            return
        # If the other side dies meanwhile, nobody else ends what hangs; the kernel needs no Python for that.
        signal.alarm(math.ceil(limit_s + _GRACE_S))
        answer = _harm(lambda part=entries[start:end]: stage.decide(part))  # type: ignore[misc]
        signal.alarm(0)
        connection.send_bytes(answer or PASSED)


def _harm(act: Callable[[], None]) -> bytes:
    """What was raised, empty if nothing was."""
    try:
        act()
    except EncodingError:
        return b""  # the model fails on everything: no message is to blame, and no process ends
    except Exception as error:
        return FAILED + type(error).__name__.encode()
    return b""


class _Empty:
    """Every rehearsal begins with a state of its own."""

    def __init__(self, ground: TrialSetup) -> None:
        self._ground = ground

    def warm_up(self, entries: Sequence[Entry]) -> None:
        """See to it that harmless commands do no harm."""
        self.decide(())

    def decide(self, entries: Sequence[Entry]) -> None:
        """Decide them, and throw away what came of it."""
        engine = open_recommender(
            None,
            self._ground.encoders,
            partition=self._ground.partition,
            message_rules=self._ground.message_rules,
        )
        try:
            engine.process([*_prologue(self._ground.settings), *entries])
        finally:
            engine.close()


class _Copy:
    """Rehearsals go on where the last one that did no harm has ended, as the owner would."""

    def __init__(self, ground: TrialSetup, state: Path) -> None:
        self._undo = False
        self._engine = open_recommender(
            state,
            ground.encoders,
            partition=ground.partition,
            before_commit=self._before_commit,
            most_collections=ground.most_collections,
            message_rules=ground.message_rules,
        )

    def warm_up(self, entries: Sequence[Entry]) -> None:
        """See to it that a harmless item does no harm here; nothing stays of it."""
        item = UpsertItem(id=_HARMLESS, collection=_HARMLESS, text=_HARMLESS)
        at_ms = entries[0].time_ms if entries else None
        self._undo = True
        with suppress(_Undone):
            self._engine.process([Entry(self._engine.position.successor, item, at_ms=at_ms)])
        self._undo = False

    def decide(self, entries: Sequence[Entry]) -> None:
        """Decide them; what comes next is decided after them."""
        self._engine.process(entries)

    def _before_commit(self) -> None:
        if self._undo:
            raise _Undone


_Stage = _Empty | _Copy


class _Undone(Exception):
    """The batch was for show."""


def _prologue(settings: Mapping[str, CollectionSettings]) -> list[Entry]:
    """Commands that give every collection its settings and a harmless item, before all others."""
    said = []
    for name, values in settings.items():
        said.append(("collection.configured", {"collection": name, "settings": values.model_dump(mode="json")}))
        said.append(("item.upsert", {"collection": name, "id": _HARMLESS, "text": _HARMLESS}))
    return [
        decode_entry(EntryId(0, place), type_, json.dumps(data)) for place, (type_, data) in enumerate(said, start=1)
    ]


def _expect_the_worst() -> None:
    """Leave no core file, and be the first to go when memory runs out."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):  # no Linux
        Path("/proc/self/oom_score_adj").write_text("1000")
