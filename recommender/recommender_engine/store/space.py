"""Free pages of the database file, which are returned to the disk."""

from __future__ import annotations

import sqlite3
from contextlib import suppress

from recommender_engine.event_log import event_log

log = event_log(__name__)

_INCREMENTAL = 2
# Free pages are reused, so some are kept: 2,048, or one eighth of the file if that is more.
_KEPT_PAGES, _KEPT_SHARE = 2048, 8
_PAGES_AT_ONCE = 1000  # about a twentieth of a second
_MOST_REWRITTEN_BYTES = 64 * 2**20


def let_shrink(connection: sqlite3.Connection) -> None:
    """Enable incremental vacuum for a file of an older release, which requires rewriting the whole file.

    A large file is left unchanged, since that takes minutes and the space of a second file; so is one on a full disk.
    """
    if _number(connection, "auto_vacuum") == _INCREMENTAL:
        return
    size = _number(connection, "page_count") * _number(connection, "page_size")
    if size > _MOST_REWRITTEN_BYTES:
        log.warning("store.does_not_shrink", extra={"bytes": size, "see": "docs/reference/limits-and-errors.md"})
        return
    with suppress(sqlite3.OperationalError):
        connection.execute(f"PRAGMA auto_vacuum={_INCREMENTAL}")
        connection.execute("VACUUM")


def give_back(connection: sqlite3.Connection) -> bool:
    """Return some free pages to the disk, in a transaction of its own; false if there are too few."""
    empty = _number(connection, "freelist_count")
    if empty <= max(_KEPT_PAGES, _number(connection, "page_count") // _KEPT_SHARE):
        return False
    if _number(connection, "auto_vacuum") != _INCREMENTAL:
        return False
    connection.executescript(f"PRAGMA incremental_vacuum({_PAGES_AT_ONCE})")  # to its end: it has rows of no columns
    return _number(connection, "freelist_count") < empty


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])
