"""Trials: commands are decided in a process of their own, on a state that is thrown away.

That state is a copy of the real one, so a message that fails only beside certain items is found as well; or an empty
one, where there is no room for a copy.
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
    """What a trial needs.

    Attributes:
        encoders: the embedding models.
        settings: of the collections concerned, by name; for an empty state.
        secrets: by which proofs of commands are checked.
        raw: the commands, as they are in the log.
        partition: that they belong to.
        most_collections: how many there may be.
        state: directory with a copy of the real state, which changes; ``None``: an empty state for each trial.
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


def run_on_demand(setup: TrialSetup, connection: Connection) -> None:
    """The main function of the process: run the trials that are asked for, until the other side has gone.

    First it shows that it works at all, on a harmless text. An answer is a word, never an object.

    Args:
        setup: the commands, and what they are decided on.
        connection: asks for commands from index to index, with a limit in seconds.
    """
    _prepare_for_a_crash()
    # They do not expire: the owner ended over them.
    entries = [decode(id_, fields, id_.ms, permits=setup.secrets.permits) for id_, fields in setup.raw]
    trial: _Trial | None = None

    def begin() -> None:
        nonlocal trial
        trial = _EmptyState(setup) if setup.state is None else _CopiedState(setup, setup.state)
        trial.warm_up(entries)

    connection.send_bytes(_failure(begin) or READY)
    while trial is not None:
        try:
            start, end, limit_s = json.loads(connection.recv_bytes())
        except EOFError:
            return
        # If the other side ends meanwhile, nothing else ends a trial that hangs; the kernel needs no Python for that.
        signal.alarm(math.ceil(limit_s + _GRACE_S))
        answer = _failure(lambda part=entries[start:end]: trial.decide(part))  # type: ignore[misc]
        signal.alarm(0)
        connection.send_bytes(answer or PASSED)


def _failure(act: Callable[[], None]) -> bytes:
    """What was raised, empty if nothing was."""
    try:
        act()
    except EncodingError:
        return b""  # the model fails on every text: no message is the cause, and no process ends
    except Exception as error:
        return FAILED + type(error).__name__.encode()
    return b""


class _EmptyState:
    """Every trial begins with an empty state."""

    def __init__(self, setup: TrialSetup) -> None:
        self._setup = setup

    def warm_up(self, entries: Sequence[Entry]) -> None:
        """Make sure that harmless commands pass."""
        self.decide(())

    def decide(self, entries: Sequence[Entry]) -> None:
        """Decide them, and throw the state away."""
        engine = open_recommender(
            None,
            self._setup.encoders,
            partition=self._setup.partition,
            message_rules=self._setup.message_rules,
        )
        try:
            engine.process([*_prologue(self._setup.settings), *entries])
        finally:
            engine.close()


class _CopiedState:
    """A trial goes on behind the last one that passed, as the owner would."""

    def __init__(self, setup: TrialSetup, state: Path) -> None:
        self._undo = False
        self._engine = open_recommender(
            state,
            setup.encoders,
            partition=setup.partition,
            before_commit=self._before_commit,
            most_collections=setup.most_collections,
            message_rules=setup.message_rules,
        )

    def warm_up(self, entries: Sequence[Entry]) -> None:
        """Make sure that a harmless item passes; it is rolled back."""
        item = UpsertItem(id=_HARMLESS, collection=_HARMLESS, text=_HARMLESS)
        at_ms = entries[0].time_ms if entries else None
        self._undo = True
        with suppress(_Undone):
            self._engine.process([Entry(self._engine.position.successor, item, at_ms=at_ms)])
        self._undo = False

    def decide(self, entries: Sequence[Entry]) -> None:
        """Decide them; the next are decided after them."""
        self._engine.process(entries)

    def _before_commit(self) -> None:
        if self._undo:
            raise _Undone


_Trial = _EmptyState | _CopiedState


class _Undone(Exception):
    """The batch was rolled back on purpose."""


def _prologue(settings: Mapping[str, CollectionSettings]) -> list[Entry]:
    """Commands that give every collection its settings and a harmless item, before all others."""
    commands = []
    for name, values in settings.items():
        commands.append(("collection.configured", {"collection": name, "settings": values.model_dump(mode="json")}))
        commands.append(("item.upsert", {"collection": name, "id": _HARMLESS, "text": _HARMLESS}))
    return [decode_entry(EntryId(0, n), type_, json.dumps(data)) for n, (type_, data) in enumerate(commands, start=1)]


def _prepare_for_a_crash() -> None:
    """Leave no core file, and be the first to go when memory runs out."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):  # no Linux
        Path("/proc/self/oom_score_adj").write_text("1000")
