"""Ways to break the product, so that it can be seen that the crasher notices."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from celery_recommender.broker.commands.log import CommandsLog
from celery_recommender.broker.coordination.quarantine import Quarantine
from celery_recommender.broker.events.stream import EventsStream
from celery_recommender.broker.redis.ranges import Fields
from celery_recommender.owner.continuity.backups import BackupKeeper
from celery_recommender.owner.continuity.recovery import Recovery
from celery_recommender.owner.delivery.dispatch import Dispatch
from celery_recommender.owner.delivery.publisher import Publisher
from recommender_engine import Recommender
from recommender_engine.backups import writing
from recommender_engine.items import START, EntryId, QuarantineCommand
from recommender_engine.store import OutboxRow
from tests.support.streams import KEYS


def position_first() -> None:
    """The position commits in a transaction of its own, before the effects."""
    process = Recommender.process

    def broken(engine: Recommender, entries: Sequence[Any]) -> Any:
        before = engine.position
        _commit_position(engine, entries[-1].id)
        _commit_position(engine, before)  # so that nothing can be seen of it unless somebody dies between
        return process(engine, entries)

    Recommender.process = broken  # type: ignore[method-assign]


def _commit_position(engine: Recommender, position: EntryId) -> None:
    with engine._store.transaction():
        engine._store.position = position


def trimmed_when_read() -> None:
    """Commands leave the stream as soon as they are read."""
    read = CommandsLog.read

    def broken(log: CommandsLog, after: EntryId, count: int) -> list[tuple[EntryId, Fields]]:
        entries = read(log, after, count)
        if entries:
            log._redis.xtrim(KEYS.commands, minid=f"{entries[-1][0].ms}-{entries[-1][0].n + 1}", approximate=False)
        return entries

    CommandsLog.read = broken  # type: ignore[method-assign]


def outbox_forgotten() -> None:
    """A worker publishes what it has decided itself, and nothing that was committed before it started."""
    publish, to_stream = Publisher.publish, EventsStream.publish

    def broken(publisher: Publisher) -> bool:
        if not publisher._certain:
            start = _START.setdefault(id(publisher), publisher._engine.last_event)
            publisher._published, publisher._certain = start, True
        return publish(publisher)

    def unchecked(stream: EventsStream, rows: Sequence[OutboxRow], after: EntryId) -> None:
        to_stream(stream, rows, START)

    Publisher.publish = broken  # type: ignore[method-assign]
    EventsStream.publish = unchecked  # type: ignore[method-assign]


def replies_once() -> None:
    """Callers are noted as told before they are."""
    offer = Dispatch.offer

    def broken(dispatch: Dispatch) -> None:
        engine = dispatch._engine
        waiting = engine.outbox.replies(0, 1000)
        offer(dispatch)
        engine.acknowledge(replied=[reply.id for reply in waiting])

    Dispatch.offer = broken  # type: ignore[method-assign]


def finding_in_two_steps() -> None:
    """What is set aside is written first, and the record of it on the log in another transaction."""

    def broken(quarantine: Quarantine, position: EntryId, reason: str) -> None:
        data = json.dumps({"entry": str(position), "reason": reason})
        record: Any = {"type": QuarantineCommand.type, "data": data, "key": f"quarantine {position}"}
        quarantine._lease.execute(lambda pipe: pipe.hset(quarantine._keys.quarantined, str(position), reason))
        quarantine._lease.execute(lambda pipe: pipe.xadd(quarantine._keys.commands, record))

    Quarantine.add = broken  # type: ignore[method-assign]


def trimmed_without_backup() -> None:
    """Commands leave the stream when they are committed, whether they are in a backup or not."""
    BackupKeeper.keep_from = property(lambda keeper: None)  # type: ignore[method-assign, assignment]


def backup_written_in_place() -> None:
    """A backup has its name before it is whole."""

    @contextmanager
    def broken(path: Path) -> Iterator[Path]:
        path.mkdir()
        yield path

    writing.whole_directory = broken  # type: ignore[attr-defined]


def backup_deleted_in_place() -> None:
    """A backup loses file after file while it has its name."""
    writing._delete = shutil.rmtree


def recovery_skipped() -> None:
    """A restored state goes on behind its events as if it knew them."""

    def broken(recovery: Recovery, last: EntryId) -> None:
        recovery._engine.continue_after(last)

    Recovery.begin = broken  # type: ignore[method-assign]


_START: dict[int, EntryId] = {}
MUTANTS: dict[str, Callable[[], None]] = {
    function.__name__: function
    for function in (
        position_first,
        trimmed_when_read,
        outbox_forgotten,
        replies_once,
        finding_in_two_steps,
        trimmed_without_backup,
        backup_written_in_place,
        backup_deleted_in_place,
        recovery_skipped,
    )
}
