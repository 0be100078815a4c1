"""The tables of lists of recommendations that are told when they change, as schema 11 has them.

The upgrade to 11 uses them: a later change goes into an upgrade of its own, and that to 11 keeps a copy of these.
"""

from __future__ import annotations

SUBSCRIPTION_TABLES = """
-- Lists of recommendations that are told when they change.
CREATE TABLE subscriptions (
    num INTEGER PRIMARY KEY AUTOINCREMENT,
    collection INTEGER NOT NULL,
    for_user INTEGER NOT NULL,            -- the id is that of a user, not of an item
    id TEXT NOT NULL,
    scenario TEXT NOT NULL,               -- empty: none
    asked INTEGER NOT NULL,               -- by a command; 0: by the settings of the collection
    listed TEXT NOT NULL,                 -- JSON: ids of the list that was told last
    looked_ms INTEGER NOT NULL,           -- stream time at which the list was made last
    due_ms INTEGER,                       -- when it is made again; NULL: nothing has changed
    UNIQUE (collection, for_user, id, scenario)
);
CREATE INDEX subscriptions_by_collection ON subscriptions (collection);
CREATE INDEX subscriptions_by_turn ON subscriptions (collection, due_ms, num) WHERE due_ms IS NOT NULL;

-- In which lists an item was told last.
CREATE TABLE listed_items (
    collection INTEGER NOT NULL, item TEXT NOT NULL, subscription INTEGER NOT NULL,
    PRIMARY KEY (collection, item, subscription)
) WITHOUT ROWID;

-- Changes that have yet to be noted at the subscriptions that they concern, a few at a time.
CREATE TABLE list_changes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    collection INTEGER NOT NULL,
    kind TEXT NOT NULL,                   -- lists with an item, all lists, or items and users to subscribe to
    item TEXT NOT NULL,
    after INTEGER NOT NULL,               -- what has a number up to this one is done
    UNIQUE (collection, kind, item)
);
CREATE INDEX list_changes_by_collection ON list_changes (collection);
"""
