"""Opening of the state database."""

from __future__ import annotations

import re
import sqlite3
from contextlib import suppress
from pathlib import Path

from recommender_engine.errors import StateDamaged, StateLocked, StateTooNew
from recommender_engine.store.failures import RESTORE
from recommender_engine.store.tables import SCHEMA_VERSION, TABLES
from recommender_engine.store.upgrades import FUNCTIONS, UPGRADES

APPLICATION_ID = 0x52434D44  # "RCMD"


def connect(path: Path | None) -> sqlite3.Connection:
    """Open (or create) the database; ``None`` keeps it in memory. ``check`` it before anything is written.

    The lock is exclusive and taken at once: it is the guard against a second owner on this machine, and one connection
    stays clear of SQLite's WAL-reset bug (versions before 3.51.3).

    Raises:
        StateLocked: another process has it open.
        StateDamaged: it is another program's database, it cannot be read, or it failed the check before an upgrade.
        StateTooNew: a newer release wrote it.
    """
    connection = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA busy_timeout=1000")
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")  # before WAL, so that no shared-memory file is used
        new = _is_new(connection)  # before WAL, which would change another program's file
        if new:
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")  # before WAL, which makes it a file
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "secure_delete=ON",  # an erased text leaves no trace in the file
            "trusted_schema=OFF",
            "cell_size_check=ON",
            "mmap_size=0",
            "temp_store=MEMORY",
            "cache_size=-65536",
            "journal_size_limit=67108864",
            "wal_autocheckpoint=4000",  # pages: one that is changed in several batches is written to the file once
        ):
            connection.execute(f"PRAGMA {pragma}")
        if new:
            _create(connection)
        _take_lock(connection)
        if _version(connection) < SCHEMA_VERSION:
            check(connection, path)  # before it is changed
            _upgrade(connection)
    except sqlite3.OperationalError as error:
        connection.close()
        if "locked" in str(error):
            raise StateLocked(f"another process has {path} open") from error
        raise StateDamaged(f"{path}: {error}; {RESTORE}") from error
    except sqlite3.DatabaseError as error:
        connection.close()
        raise StateDamaged(f"{path} is damaged ({error}): {RESTORE}") from error
    except BaseException:
        connection.close()
        raise
    return connection


def _is_new(connection: sqlite3.Connection) -> bool:
    """Whether the file is empty; raises if it is from another program or a newer release."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    version = _version(connection)
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application not in (0, APPLICATION_ID) or (application == 0 and tables):
        raise StateDamaged("the database belongs to another program")
    if version > SCHEMA_VERSION:
        raise StateTooNew(f"the state has schema {version}, this release knows {SCHEMA_VERSION}: upgrade it")
    return int(application) == 0


def forget_statistics(connection: sqlite3.Connection) -> None:
    """Delete SQLite's statistics: those of a small table lead to full scans once it is large.

    On a full disk they stay until the next start.
    """
    found = connection.execute(
        "SELECT name FROM sqlite_schema WHERE name IN ('sqlite_stat1', 'sqlite_stat4')"
    ).fetchall()
    with suppress(sqlite3.OperationalError):
        for (table,) in found:
            connection.execute(f"DROP TABLE {table}")
        if found:
            connection.execute("PRAGMA writable_schema=RESET")  # reads the schema again, without them


def _create(connection: sqlite3.Connection) -> None:
    _run(connection, TABLES, SCHEMA_VERSION)


def _upgrade(connection: sqlite3.Connection) -> None:
    """Upgrade the tables, one schema version after the other, each in its own transaction."""
    for function in FUNCTIONS:
        connection.create_function(function.__name__, 1, function, deterministic=True)
    for version in range(_version(connection) + 1, SCHEMA_VERSION + 1):
        _run(connection, UPGRADES[version], version)


def _run(connection: sqlite3.Connection, statements: str, version: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for statement in re.sub(r" *--.*", "", statements).split(";\n"):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={version}")
    connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _take_lock(connection: sqlite3.Connection) -> None:
    """Take the exclusive lock until the connection is closed."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("COMMIT")


def check(connection: sqlite3.Connection, path: Path | None) -> None:
    """Check the whole database: about a second per gigabyte, plus the time to read it from disk.

    Raises:
        StateDamaged: the quick check failed, or it cannot be read.
    """
    try:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        raise StateDamaged(f"{path} is damaged ({error}): {RESTORE}") from error
    if verdict != "ok":
        raise StateDamaged(f"the quick check of the state failed ({' '.join(verdict.split())}): {RESTORE}")
