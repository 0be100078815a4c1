"""Makes sure that no command is skipped when the commands stream is lost, set back or has lost its group.

The owner reads by position, so an entry that comes to stand at or before it is never read. A stream gives rising ids,
but a new one in its place, or an older copy of it on a server that took over, begins again lower. So the keeper raises
the stream above what has been read, and gives what came before that a new place behind everything else.
"""

from __future__ import annotations

from collections.abc import Callable

from celery_recommender.broker.commands.continuity import Continuity
from celery_recommender.broker.commands.log import CommandsLog, decode
from celery_recommender.broker.commands.read_size import ReadSize
from celery_recommender.broker.coordination.lease import Lease
from celery_recommender.broker.redis.ranges import Fields
from celery_recommender.broker.redis.received import size_of
from recommender_engine import Recommender
from recommender_engine.event_log import event_log
from recommender_engine.items import START, EntryId
from recommender_engine.items.limits import KEY_WINDOW_MS
from recommender_engine.items.repeats import repeats, scope_of

log = event_log(__name__)

# A server that took over may have a clock that is behind, but hardly more than this.
_CLOCK_DIFFERENCE_MS = 600_000
_TICK = b"clock.ticked"


class StreamKeeper:
    """Looks after the commands stream; called by the engine thread.

    Args:
        engine: knows what has been decided.
        commands: the stream.
        lease: without which nothing is moved.
        broken: called when decided commands that were in the stream are, or may be, no longer there.
    """

    def __init__(self, engine: Recommender, commands: CommandsLog, lease: Lease, broken: Callable[[], None]) -> None:
        self._engine = engine
        self._commands = commands
        self._lease = lease
        self._broken = broken
        self._doubtful = True
        self._after, self._up_to = START, START  # between them may be entries that were never read
        self._anew = self._torn = False

    def doubt(self) -> None:
        """The server was away: the one that answers next may have older data."""
        self._doubtful = True

    def settled(self, read: EntryId) -> bool:
        """As ``check``, but checks only if there is reason to."""
        return (not self._doubtful and self._up_to == START and not self._torn) or self.check(read)

    def check(self, read: EntryId) -> bool:
        """Check the stream and repair what can be repaired.

        Args:
            read: position of the last entry that has been read; at or behind that of the engine.

        Returns:
            Whether everything up to the engine's position has been decided and may be trimmed.

        Raises:
            LeaseLost: another process owns the partition.
        """
        position = self._engine.position
        continuity = self._commands.keep_above(read)
        if continuity is not Continuity.WHOLE:
            self._torn = True
            log.error(
                "owner.stream_was_reset",
                extra={"found": continuity.value, "position": str(position), "read": str(read)},
            )
            self._after, self._up_to = START, max(self._up_to, read)
            self._anew = self._anew or continuity is Continuity.ANEW
            self._broken()
        elif self._doubtful:
            since = EntryId(max(position.ms - _CLOCK_DIFFERENCE_MS, 0), 0)
            self._after = min(self._after, since) if self._up_to != START else since
            self._up_to = max(self._up_to, read)
        self._doubtful = False
        if position < self._up_to:
            return False  # what was read and is not decided yet cannot be told from what was never read
        if self._up_to != START:
            self._repair()
            self._up_to, self._anew = START, False
        if self._torn:  # what was read before it broke, and decided since, is missing as well
            self._broken()
            self._torn = False
        return True

    def _repair(self) -> None:
        found, position = 0, str(self._engine.position)
        known = _Decided(self._engine, anew=self._anew)
        size, after = ReadSize(), self._after
        while entries := self._commands.between(after, self._up_to, size.count):
            size.saw([size_of(fields) for _, fields in entries])
            missed = [(id_, fields) for id_, fields in entries if not known(id_, fields)]
            if missed:
                self._torn = True
                self._commands.move_to_end(missed, self._lease)
            found += len(missed)
            after = entries[-1][0]
        if found:
            log.error("owner.commands_recovered", extra={"commands": found, "position": position})
        if known.too_old:
            log.error("owner.commands_too_old", extra={"commands": known.too_old, "position": position})


class _Decided:
    """Distinguishes entries that have been decided, or need not be, from unread ones.

    Args:
        engine: whose events tell.
        anew: whether the stream has begun again, so that an equal position does not mean the same command.

    Attributes:
        too_old: entries from before the events that are stored for certain.
    """

    def __init__(self, engine: Recommender, *, anew: bool) -> None:
        self._outbox = engine.outbox
        self._anew = anew
        self._commands: dict[EntryId, str | None] | None = None
        self._oldest_ms = engine.position.ms - KEY_WINDOW_MS  # events are stored for that long at least
        self.too_old = 0

    def __call__(self, id_: EntryId, fields: Fields) -> bool:
        if fields.get(b"type") == _TICK:
            return True
        entry = decode(id_, fields, id_.ms)
        if entry.key is not None:
            first = self._outbox.used(scope_of(entry), entry.key, id_.ms)
            if first is not None and repeats(entry, first.digest):
                return True
        if self._anew:
            return False
        if id_.ms < self._oldest_ms:  # nobody can tell any more, and an old copy of the stream is full of those
            self.too_old += 1
            return True
        if self._commands is None:
            self._commands = self._outbox.commands(id_)  # asked for in rising order
        return self._commands.get(id_, _NONE) in (entry.key, None)


_NONE = "\n"  # no key
