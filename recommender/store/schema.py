"""Tables of the state database, and how a connection to it is opened."""

from __future__ import annotations

import re
import sqlite3
from contextlib import suppress
from pathlib import Path

from recommender.errors import StateDamaged, StateLocked, StateTooNew
from recommender.store.failures import RESTORE

APPLICATION_ID = 0x52434D44  # "RCMD"
SCHEMA_VERSION = 5

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE collections (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    settings TEXT NOT NULL,
    model TEXT,                        -- identity of its vectors, once it has one
    dimension INTEGER,
    silent_commands INTEGER NOT NULL,  -- since the last summary
    silent_bands TEXT NOT NULL,
    silent_since_ms INTEGER NOT NULL
);

-- Every distinct text is embedded once per model.
CREATE TABLE vectors (
    id INTEGER PRIMARY KEY,
    model TEXT NOT NULL,
    key BLOB NOT NULL,                 -- what it was made from
    truncated INTEGER NOT NULL,
    data BLOB NOT NULL,
    UNIQUE (model, key)
);

-- What the vector index holds: one point for all items of a collection with (nearly) the same vector.
CREATE TABLE points (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- the label in the index; never used again
    collection INTEGER NOT NULL REFERENCES collections (id),
    vector INTEGER NOT NULL REFERENCES vectors (id)
);
CREATE INDEX points_by_collection ON points (collection, id);
CREATE INDEX points_by_vector ON points (vector);

CREATE TABLE items (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,  -- order of arrival; an item whose text changes arrives anew
    collection INTEGER NOT NULL REFERENCES collections (id),
    id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    version INTEGER,
    content TEXT NOT NULL,                  -- JSON: text or fields, timestamp
    attributes TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    vector INTEGER NOT NULL REFERENCES vectors (id),
    point INTEGER NOT NULL REFERENCES points (id),
    grp TEXT NOT NULL,
    verdict TEXT,                           -- JSON: on the best pair, as decided on arrival …
    matched_seq INTEGER,                    -- … and the other side of it; it may be gone
    UNIQUE (collection, id)
);
CREATE INDEX items_by_point ON items (point, seq);
CREATE INDEX items_by_group ON items (grp, seq);
CREATE INDEX items_by_fingerprint ON items (fingerprint, collection, seq);
CREATE INDEX items_by_vector ON items (vector, collection, seq);
CREATE INDEX items_by_match ON items (matched_seq);

-- The highest version of a deleted item, so that an older upsert that comes late still loses.
CREATE TABLE tombstones (
    collection INTEGER NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (collection, id)
) WITHOUT ROWID;

CREATE TABLE outbox (
    ms INTEGER NOT NULL, n INTEGER NOT NULL,  -- entry id in the events stream
    type TEXT NOT NULL,
    collection TEXT, item_id TEXT,            -- what it is about …
    matched_id TEXT,                          -- … and the item that its reasons may quote
    silent INTEGER NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (ms, n)
) WITHOUT ROWID;
CREATE INDEX outbox_by_item ON outbox (collection, item_id);
CREATE INDEX outbox_by_match ON outbox (collection, matched_id);

CREATE TABLE keys (
    key TEXT PRIMARY KEY, ms INTEGER NOT NULL, event_ms INTEGER NOT NULL, event_n INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX keys_by_time ON keys (ms);

-- Callers that wait for an outcome, until they have been told.
CREATE TABLE replies (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- in the order of their commands
    reply_to TEXT NOT NULL,
    event_ms INTEGER NOT NULL, event_n INTEGER NOT NULL
);
CREATE INDEX replies_by_event ON replies (event_ms, event_n);

-- Published entries that an erasure has yet to remove from the events stream.
CREATE TABLE redactions (ms INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (ms, n)) WITHOUT ROWID;
"""

# What each schema adds to the one before it; statements as above.
UPGRADES = {
    2: """
ALTER TABLE items ADD COLUMN at_ms INTEGER NOT NULL DEFAULT 0;  -- stream time of its arrival
CREATE INDEX items_by_arrival ON items (collection, at_ms, seq);

-- In how many items of a collection a term occurs.
CREATE TABLE terms (
    collection INTEGER NOT NULL, term TEXT NOT NULL, documents INTEGER NOT NULL, PRIMARY KEY (collection, term)
) WITHOUT ROWID;

-- Which items have a term: their arrival numbers; terms are hashed together with the collection.
CREATE VIRTUAL TABLE words USING fts5(terms, content='', detail=none, columnsize=0, tokenize='ascii');

-- What people said of two items; "one" is the smaller id.
CREATE TABLE answers (
    id INTEGER PRIMARY KEY AUTOINCREMENT,     -- in the order in which they were given
    collection INTEGER NOT NULL,
    one TEXT NOT NULL,
    other TEXT NOT NULL,
    same INTEGER NOT NULL,
    entry TEXT NOT NULL,                      -- the command that said so
    said_by TEXT,
    probability REAL NOT NULL,                -- of the matcher, before
    features TEXT NOT NULL,                   -- JSON: what the matcher saw
    UNIQUE (collection, one, other)
);
CREATE INDEX answers_by_other ON answers (collection, other);

-- The matcher of a collection that has learned from answers.
CREATE TABLE models (
    collection INTEGER PRIMARY KEY REFERENCES collections (id),
    answers INTEGER NOT NULL,                 -- that it has learned from
    pending INTEGER NOT NULL,                 -- that it has not
    model TEXT NOT NULL
);

UPDATE items SET at_ms = COALESCE((SELECT value FROM meta WHERE key = 'clock_ms'), 0);
UPDATE collections SET settings = json_remove(settings, '$.duplicate_from', '$.review_from');
""",
    3: """
-- Collections that go to another partition, have gone, or have come from one.
CREATE TABLE moves (collection TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;

-- Commands for other partitions, until they stand in the streams there.
CREATE TABLE forwards (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- in the order of their commands
    collection TEXT NOT NULL,
    target TEXT NOT NULL,
    held INTEGER NOT NULL,                 -- until the collection has arrived there
    command TEXT NOT NULL                  -- JSON
);
CREATE INDEX forwards_by_turn ON forwards (held, id);
CREATE INDEX forwards_by_collection ON forwards (collection);
""",
    4: """
CREATE INDEX items_by_collection ON items (collection, seq);
""",
    5: """
-- A key belongs to the collection of its command.
ALTER TABLE keys RENAME TO keys_of_all;
CREATE TABLE keys (
    key TEXT NOT NULL,
    collection TEXT NOT NULL,  -- its name; empty: of a command that names none
    ms INTEGER NOT NULL,
    event_ms INTEGER NOT NULL, event_n INTEGER NOT NULL,
    digest BLOB,               -- of what the command says; NULL: not known, empty: the key alone tells
    PRIMARY KEY (key, collection)
) WITHOUT ROWID;
INSERT INTO keys SELECT key, COALESCE(collection, json_extract(event, '$.data.collection'), ''), k.ms, event_ms,
    event_n, NULL FROM keys_of_all k LEFT JOIN outbox o ON o.ms = event_ms AND o.n = event_n;
DROP TABLE keys_of_all;
CREATE INDEX keys_by_time ON keys (ms);
ALTER TABLE tombstones ADD COLUMN at_ms INTEGER NOT NULL DEFAULT 0;  -- stream time of the deletion
UPDATE tombstones SET at_ms = COALESCE((SELECT value FROM meta WHERE key = 'clock_ms'), 0);
CREATE INDEX tombstones_by_time ON tombstones (at_ms);

-- Where an item stands among those that later ones may repeat, in collections whose policy restricts that.
ALTER TABLE items ADD COLUMN scope INTEGER;   -- what has to be equal; NULL where nothing may repeat it
ALTER TABLE items ADD COLUMN moment INTEGER;  -- its time in microseconds where a window counts, else 0
CREATE INDEX items_by_scope_text ON items (scope, fingerprint, moment, seq) WHERE scope IS NOT NULL;
CREATE INDEX items_by_scope_point ON items (scope, point, moment, seq) WHERE scope IS NOT NULL;
CREATE INDEX items_by_scope_time ON items (scope, moment, point) WHERE scope IS NOT NULL;
-- Items that arrived up to this stream time are gone, though some may have yet to be deleted.
ALTER TABLE collections ADD COLUMN gone_ms INTEGER NOT NULL DEFAULT 0;
-- Items up to this arrival number have yet to be given their spot under the settings of now.
ALTER TABLE collections ADD COLUMN unsorted_seq INTEGER NOT NULL DEFAULT 0;
UPDATE collections SET unsorted_seq = COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'items'), 0)
    WHERE json_array_length(settings, '$.equal') > 0 OR json_extract(settings, '$.only') NOT IN ('{}')
    OR json_extract(settings, '$.window_seconds') IS NOT NULL OR json_extract(settings, '$.min_length') > 0;
-- Whether the word index holds marks of what was removed.
INSERT INTO meta SELECT 'words were removed', EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'items');
-- Parts of a page of a collection that arrives, until the last is there.
CREATE TABLE move_parts (
    collection TEXT NOT NULL, part INTEGER NOT NULL, data TEXT NOT NULL, PRIMARY KEY (collection, part)
);
-- No table-valued function here: SQLite 3.40 keeps json_each with the schema of before, and reads freed memory later.
INSERT INTO move_parts
    WITH RECURSIVE parts (collection, part, state) AS (
        SELECT collection, 0, state FROM moves WHERE json_array_length(state, '$.parts') > 0
        UNION ALL SELECT collection, part + 1, state FROM parts WHERE part + 1 < json_array_length(state, '$.parts')
    ) SELECT collection, part, json_extract(state, '$.parts[' || part || ']') FROM parts;
UPDATE moves SET state = json_set(json_remove(state, '$.parts'), '$.part', json_array_length(state, '$.parts'),
    '$.part_bytes', (SELECT coalesce(sum(length(data)), 0) FROM move_parts p WHERE p.collection = moves.collection));
-- What a collection's matcher is learning beside the decisions, and when it takes effect.
CREATE TABLE lessons (
    collection INTEGER PRIMARY KEY REFERENCES collections (id),
    last INTEGER NOT NULL,                    -- the answers up to this one
    due_ms INTEGER NOT NULL,
    stale INTEGER NOT NULL,
    begun INTEGER NOT NULL
);

-- Collections that were deleted within the last 24 hours: keys used before that count no more.
CREATE TABLE deletions (
    collection TEXT PRIMARY KEY, ms INTEGER NOT NULL, event_ms INTEGER NOT NULL, event_n INTEGER NOT NULL
) WITHOUT ROWID;
-- The last number given stands there; rows of collections that have left need not.
INSERT OR REPLACE INTO meta SELECT 'last collection', max(id) FROM collections HAVING max(id) IS NOT NULL;
DELETE FROM collections WHERE instr(name, char(10)) = 1;

-- What long messages said that were rejected, for their dead letters; their events hold the beginning.
CREATE TABLE payloads (
    ms INTEGER NOT NULL, n INTEGER NOT NULL,  -- entry id of the event
    size INTEGER NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (ms, n, size)                 -- sizes are added up without a look at the bytes
);
""",
}


def connect(path: Path | None) -> sqlite3.Connection:
    """Open (or create) the database; ``None`` keeps it in memory. ``check`` it before anything is written.

    The lock is exclusive and taken at once: it is the guard against a second owner on this machine, and one connection
    stays clear of SQLite's WAL-reset bug (versions before 3.51.3).

    Raises:
        StateLocked: another process has it open.
        StateDamaged: it is not our database, it cannot be read, or it is to be upgraded and failed its check.
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
        ):
            connection.execute(f"PRAGMA {pragma}")
        if new:
            _create(connection)
        _take_lock(connection)
        if _version(connection) < SCHEMA_VERSION:
            check(connection, path)  # what is about to be changed
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
    """Whether the file is empty; raises if it is another program's or from a newer release."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    version = _version(connection)
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application not in (0, APPLICATION_ID) or (application == 0 and tables):
        raise StateDamaged("the database belongs to another program")
    if version > SCHEMA_VERSION:
        raise StateTooNew(f"the state has schema {version}, this release knows {SCHEMA_VERSION}: upgrade it")
    return int(application) == 0


def forget_statistics(connection: sqlite3.Connection) -> None:
    """Statements go by their indexes. Counts taken of a small table have SQLite read all of it once it is large.

    A disk that is full leaves them for the next start.
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
    _run(connection, TABLES, version=1)


def _upgrade(connection: sqlite3.Connection) -> None:
    """Bring the tables up to date, one schema after the other, each in a transaction of its own."""
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
    """For good."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("COMMIT")


def check(connection: sqlite3.Connection, path: Path | None) -> None:
    """Read all of the database: about a second for a gigabyte, and the time that the disk takes for it.

    Raises:
        StateDamaged: its quick check failed, or it cannot be read.
    """
    try:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        raise StateDamaged(f"{path} is damaged ({error}): {RESTORE}") from error
    if verdict != "ok":
        raise StateDamaged(f"the quick check of the state failed ({' '.join(verdict.split())}): {RESTORE}")
