"""The tables of interactions and of what is learned from them, as schema 10 has them.

The upgrade to 10 uses them: a later change goes into an upgrade of its own, and that to 10 keeps a copy of these.
"""

from __future__ import annotations

BEHAVIOUR_TABLES = """
-- Users and anonymous sessions, with what they did to the items they used last.
CREATE TABLE users (
    num INTEGER PRIMARY KEY AUTOINCREMENT,
    collection INTEGER NOT NULL,
    anonymous INTEGER NOT NULL,           -- the id is that of a session
    id TEXT NOT NULL,
    base_ms INTEGER NOT NULL,
    items BLOB NOT NULL,                  -- see recommend/behaviour/rows.py; so are the other blobs
    session INTEGER NOT NULL, session_ms INTEGER NOT NULL, visit TEXT,
    day INTEGER NOT NULL, day_count INTEGER NOT NULL,
    UNIQUE (collection, anonymous, id)
);

-- What is known of an item from interactions; the row stays while the item, or its id, is known.
CREATE TABLE used_items (
    num INTEGER PRIMARY KEY AUTOINCREMENT,
    collection INTEGER NOT NULL,
    id TEXT NOT NULL,
    waiting INTEGER NOT NULL,             -- the item has not arrived
    base_ms INTEGER NOT NULL,
    count INTEGER NOT NULL,
    total REAL, popular REAL, trending REAL,
    partners BLOB NOT NULL,
    ring BLOB NOT NULL,
    UNIQUE (collection, id)
);
CREATE INDEX used_items_by_popularity ON used_items (collection, popular DESC, num) WHERE NOT waiting;
CREATE INDEX used_items_by_trend ON used_items (collection, trending DESC, num) WHERE NOT waiting;
CREATE INDEX used_items_waiting ON used_items (collection, num) WHERE waiting;

-- What users did without a long pause; only while an item has the session in its ring.
CREATE TABLE sessions (
    num INTEGER PRIMARY KEY AUTOINCREMENT,
    collection INTEGER NOT NULL,
    user INTEGER NOT NULL,
    items BLOB NOT NULL
);
-- In so many rings a session stands. Apart from its items: it changes long after them, for many sessions in a batch.
CREATE TABLE session_rings (
    session INTEGER PRIMARY KEY,
    rings INTEGER NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user);
CREATE INDEX sessions_by_collection ON sessions (collection);

CREATE TABLE interactions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- in the order of their commands
    collection INTEGER NOT NULL,
    user INTEGER NOT NULL,
    item INTEGER NOT NULL,
    kind TEXT NOT NULL,
    value REAL,
    at_ms INTEGER NOT NULL,
    event_ms INTEGER, event_n INTEGER      -- its outcome, if it has one
);
CREATE INDEX interactions_by_user ON interactions (user, id);
CREATE INDEX interactions_by_collection ON interactions (collection);

-- Events of commands that name a user or session: rejections, and outcomes that are not published.
CREATE TABLE mentions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    collection TEXT NOT NULL,
    user TEXT NOT NULL,
    ms INTEGER NOT NULL, n INTEGER NOT NULL
);
CREATE INDEX mentions_by_user ON mentions (collection, user);
CREATE INDEX mentions_by_event ON mentions (ms, n);
"""
