"""The thread that reads the commands stream ahead of the engine."""

from __future__ import annotations

from collections.abc import Callable

from celery_recommender.broker.commands.log import CommandsLog
from celery_recommender.broker.commands.read_size import ReadSize
from celery_recommender.broker.redis.availability import AWAY
from celery_recommender.broker.redis.ranges import Fields
from celery_recommender.broker.redis.received import size_of
from celery_recommender.owner.loop.inbox import Inbox, Waiting
from celery_recommender.threads import WorkerThread, retry
from recommender_engine.event_log import event_log
from recommender_engine.items import Entry, EntryId

log = event_log(__name__)

_RETRY_AFTER_S = 0.5


class Intake(WorkerThread):
    """Reads by position and fills the inbox. A server that is away is waited for.

    Args:
        commands: the stream.
        inbox: where entries go; it waits while it is full.
        position: of the last committed command.
        last_trusted: the highest id that is trusted behind a position.
        decoded: makes an entry of an id and fields.
    """

    def __init__(
        self,
        commands: CommandsLog,
        inbox: Inbox,
        position: EntryId,
        last_trusted: Callable[[EntryId], EntryId],
        decoded: Callable[[EntryId, Fields], Entry],
    ) -> None:
        super().__init__("intake")
        self._commands = commands
        self._inbox = inbox
        self._position = position
        self._last_trusted = last_trusted
        self._decoded = decoded
        self._size = ReadSize()
        self._away = False

    def work(self) -> None:
        """Read until stopped."""
        while found := retry(self._read_some, self._stopping, _RETRY_AFTER_S, AWAY, self._note_away):
            if self._away:
                log.info("intake.server_back")
                self._away = False
            waiting, trusted = found
            if waiting:
                self._inbox.put(waiting)
                self._position = waiting[-1].entry.id
            if not trusted:  # the engine thread repairs the ids
                self._stopping.wait(_RETRY_AFTER_S)

    def _note_away(self, error: Exception, attempt: int) -> None:
        self._away = True
        if attempt == 1:
            log.warning("intake.server_away", extra={"error": str(error)})

    def _read_some(self) -> tuple[list[Waiting], bool]:
        """The next entries, decoded, up to the first whose id is not trusted, and whether there was none.

        Entries that are too large are truncated, and the rest of them does not stay in memory.
        """
        last = self._last_trusted(self._position)
        found = self._commands.read(self._position, self._size.count)
        entries = [(id_, fields) for id_, fields in found if id_ <= last]
        sizes = [size_of(fields) for _, fields in entries]
        self._size.saw(sizes)
        waiting = [
            Waiting(self._decoded(id_, fields), size) for (id_, fields), size in zip(entries, sizes, strict=True)
        ]
        return waiting, len(entries) == len(found)
