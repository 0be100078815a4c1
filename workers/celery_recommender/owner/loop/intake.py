"""The thread that reads the commands stream ahead of the engine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from celery_recommender.broker.commands.log import CommandsLog, decode
from celery_recommender.broker.commands.read_size import ReadSize
from celery_recommender.broker.coordination.proofs import nobody
from celery_recommender.broker.redis.availability import AWAY
from celery_recommender.broker.redis.ranges import Fields
from celery_recommender.broker.redis.received import size_of
from celery_recommender.owner.loop.inbox import Inbox, Waiting
from recommender_engine.event_log import event_log
from recommender_engine.items import Entry, EntryId

log = event_log(__name__)

_RETRY_AFTER_S = 0.5


class Intake(threading.Thread):
    """Reads by position and fills the inbox, until told to stop. A server that is away is waited for.

    Args:
        commands: the stream.
        inbox: where entries go; it sets the pace.
        position: of the last committed command.
        read_at_ms: when a command was read first, given its position and the time now.
        now_ms: milliseconds since 1970, by which commands are late.
        quarantined: why commands at these positions may not be decided.
        believed: the highest id that is believed of entries behind one.
        place: says of an entry whether it is for another partition.
        permits: says of an entry whether it comes from one who may give commands of owners and movers.
    """

    def __init__(
        self,
        commands: CommandsLog,
        inbox: Inbox,
        position: EntryId,
        read_at_ms: Callable[[EntryId, int], int],
        now_ms: Callable[[], int],
        quarantined: Mapping[EntryId, str],
        believed: Callable[[EntryId], EntryId],
        place: Callable[[Entry], Entry] = lambda entry: entry,
        permits: Callable[[EntryId, Fields], bool] = nobody,
    ) -> None:
        super().__init__(name="recommender-intake", daemon=True)
        self._commands = commands
        self._inbox = inbox
        self._position = position
        self._size = ReadSize()
        self._read_at_ms = read_at_ms
        self._now_ms = now_ms
        self._quarantined = quarantined
        self._believed = believed
        self._place = place
        self._permits = permits
        self._stopping = threading.Event()
        self._error: Exception | None = None

    def run(self) -> None:
        """Read until stopped."""
        try:
            self._read()
        except Exception as error:  # the owner looks after its threads
            self._error = error

    @property
    def position(self) -> EntryId:
        """Of the last entry that has been read."""
        return self._position

    def check(self) -> None:
        """Raise what has ended the thread, if anything has."""
        if self._error is not None:
            raise self._error

    def _read(self) -> None:
        away = False
        while not self._stopping.is_set():
            try:
                waiting, believed = self._read_some()
            except AWAY as error:
                if not away:
                    log.warning("intake.server_away", extra={"error": str(error)})
                away = True
                self._stopping.wait(_RETRY_AFTER_S)
                continue
            if away:
                log.info("intake.server_back")
                away = False
            if waiting:
                self._inbox.put(waiting)
                self._position = waiting[-1].entry.id
            if not believed:  # the engine thread brings the stream back
                self._stopping.wait(_RETRY_AFTER_S)

    def _read_some(self) -> tuple[list[Waiting], bool]:
        """The next entries, decoded, up to the first whose id is not believed, and whether there was none.

        What is too large is cut, and nothing else of it stays in memory.
        """
        last = self._believed(self._position)
        found = self._commands.read(self._position, self._size.count)
        entries = [(id_, fields) for id_, fields in found if id_ <= last]
        sizes = [size_of(fields) for _, fields in entries]
        self._size.saw(sizes)
        now_ms = self._now_ms()
        waiting = [
            Waiting(self._decoded(id_, fields, now_ms), size)
            for (id_, fields), size in zip(entries, sizes, strict=True)
        ]
        return waiting, len(entries) == len(found)

    def _decoded(self, id_: EntryId, fields: Fields, now_ms: int) -> Entry:
        read_ms, reason = self._read_at_ms(id_, now_ms), self._quarantined.get(id_)
        return self._place(decode(id_, fields, read_ms, reason, self._permits))

    def stop(self) -> None:
        """Read no more."""
        self._stopping.set()
