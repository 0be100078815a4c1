"""A note of the current batch, so that the next process knows the batch that ended the last one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from recommender_engine.items import Entry, EntryId

_SIZE = 128  # bytes; one write within one page is there as a whole or not at all


@dataclass(frozen=True, slots=True)
class CrashRecord:
    """Processes have ended over the next batch.

    Attributes:
        deaths: how many processes, one after the other.
        last: the last command that all of them were deciding.
    """

    deaths: int
    last: EntryId


class BatchInHand:
    """The note: the position before the current batch, its last command, and how many processes have
    ended over it.

    It is one small write for each batch and no more. It need not reach the disk: what it guards against is the end of
    a process, which the page cache survives. A commit moves the position; the record counts for what is behind it.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._position: EntryId | None = None
        self._suspicion: CrashRecord | None = None
        self._singly_until: EntryId | None = None

    def suspicion(self, position: EntryId) -> CrashRecord | None:
        """What the note says, read by a new process whose state is at ``position``."""
        self._position = position
        self._suspicion = self._read(position)
        return self._suspicion

    def clear(self) -> None:
        """The batch has been searched. Its commands are decided one by one, in case it was too much at once."""
        if self._suspicion is not None:
            self._singly_until = self._suspicion.last
        self._suspicion = None
        self.put_down()

    @property
    def is_suspicious(self) -> bool:
        """Whether processes have ended over the current batch for an unknown cause."""
        return self._suspicion is not None

    def is_delicate(self, entries: Sequence[Entry]) -> bool:
        """Whether the batch begins with commands that are decided one by one."""
        return self._singly_until is not None and entries[0].id <= self._singly_until

    def parts(self, entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
        """The batch, split where commands are decided one by one."""
        singly = 0
        if self._singly_until is not None:
            singly = sum(entry.id <= self._singly_until for entry in entries)
        yield from (entries[n : n + 1] for n in range(singly))
        if singly < len(entries):
            yield entries[singly:]

    def take(self, position: EntryId, last: EntryId) -> None:
        """Note that commands between ``position`` and ``last`` are decided or embedded ahead."""
        self._position = position
        if self._suspicion is not None and position >= self._suspicion.last:
            self._suspicion = None
        deaths = 0
        if self._suspicion is not None:
            deaths, last = self._suspicion.deaths, min(last, self._suspicion.last)
        self._write({"after": str(position), "last": str(last), "deaths": deaths})

    def put_down(self) -> None:
        """Note that there is no current batch: the process ends in order. A crash record stays as it is."""
        if self._suspicion is None:
            self._write({})
        else:
            note = {"after": str(self._position), "last": str(self._suspicion.last)}
            self._write({**note, "deaths": self._suspicion.deaths - 1})

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _read(self, position: EntryId) -> CrashRecord | None:
        try:
            note = json.loads(os.pread(self._file, _SIZE, 0))
            last = EntryId.parse(note["last"])
            if not EntryId.parse(note["after"]) <= position < last:  # all of it was committed
                return None
            return CrashRecord(int(note["deaths"]) + 1, last)
        except (ValueError, KeyError, TypeError, AttributeError):
            return None  # new, or incomplete after a power failure: nothing is known

    def _write(self, note: dict[str, str | int]) -> None:
        os.pwrite(self._file, json.dumps(note).encode().ljust(_SIZE), 0)
