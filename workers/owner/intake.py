"""The thread that reads the commands stream ahead of the engine."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from recommender.items import EntryId
from workers.broker.availability import AWAY
from workers.broker.commands_log import CommandsLog, decode, size_of
from workers.owner.inbox import Inbox, Waiting

log = logging.getLogger(__name__)

_READ_COUNT = 256
_RETRY_AFTER_S = 0.5


class Intake(threading.Thread):
    """Reads by position and fills the inbox, until told to stop. A server that is away is waited for.

    Args:
        commands: the stream.
        inbox: where entries go; it sets the pace.
        position: of the last committed command.
        now_ms: milliseconds since 1970, by which commands are late.
    """

    def __init__(self, commands: CommandsLog, inbox: Inbox, position: EntryId, now_ms: Callable[[], int]) -> None:
        super().__init__(name="recommender-intake", daemon=True)
        self._commands = commands
        self._inbox = inbox
        self._position = position
        self._now_ms = now_ms
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
                entries = self._commands.read(self._position, _READ_COUNT)
            except AWAY as error:
                if not away:
                    log.warning("intake.server_away", extra={"error": str(error)})
                away = True
                self._stopping.wait(_RETRY_AFTER_S)
                continue
            if away:
                log.info("intake.server_back")
                away = False
            if entries:
                now_ms = self._now_ms()
                self._inbox.put([Waiting(decode(id_, fields, now_ms), size_of(fields)) for id_, fields in entries])
                self._position = entries[-1][0]

    def stop(self) -> None:
        """Read no more."""
        self._stopping.set()
