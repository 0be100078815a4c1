"""The thread that reads the commands stream ahead of the engine."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence

from recommender.items import Entry, EntryId
from workers.broker.availability import AWAY
from workers.broker.commands_log import CommandsLog, Fields, decode, size_of
from workers.broker.proofs import nobody
from workers.owner.inbox import Inbox, Waiting

log = logging.getLogger(__name__)

_RETRY_AFTER_S = 0.5


class ReadSize:
    """How many entries to read at once, so that they take about as much memory as we want.

    The server bounds one value, if at all, by tens of megabytes, and a read cannot be bounded by bytes. So few are read
    at first, twice as many each time while they are small, and one by one where they are large. More than a few at once
    would not be faster: reading runs beside deciding, which takes far longer.

    Attributes:
        count: entries to ask for next.
    """

    MOST = 16
    TARGET_BYTES = 4 << 20

    def __init__(self) -> None:
        self.count = 1

    def saw(self, sizes: Sequence[int]) -> None:
        """These many bytes had the entries of the last read."""
        fitting = self.TARGET_BYTES // max(sizes) if sizes and max(sizes) else self.MOST
        self.count = max(1, min(2 * self.count, fitting, self.MOST))


class Intake(threading.Thread):
    """Reads by position and fills the inbox, until told to stop. A server that is away is waited for.

    Args:
        commands: the stream.
        inbox: where entries go; it sets the pace.
        position: of the last committed command.
        read_at_ms: when a command was read first, given its position and the time now.
        now_ms: milliseconds since 1970, by which commands are late.
        quarantined: why commands at these positions may not be decided.
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
                waiting = self._read_some()
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

    def _read_some(self) -> list[Waiting]:
        """The next entries, decoded; what is too large is cut, and nothing else of it stays in memory."""
        entries = self._commands.read(self._position, self._size.count)
        sizes = [size_of(fields) for _, fields in entries]
        self._size.saw(sizes)
        now_ms = self._now_ms()
        return [
            Waiting(self._decoded(id_, fields, now_ms), size)
            for (id_, fields), size in zip(entries, sizes, strict=True)
        ]

    def _decoded(self, id_: EntryId, fields: Fields, now_ms: int) -> Entry:
        read_ms, reason = self._read_at_ms(id_, now_ms), self._quarantined.get(id_)
        return self._place(decode(id_, fields, read_ms, reason, self._permits))

    def stop(self) -> None:
        """Read no more."""
        self._stopping.set()
