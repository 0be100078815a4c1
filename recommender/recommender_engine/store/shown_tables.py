"""The tables of lists that were shown, as schema 11 has them. The upgrade to 11 uses them."""

from __future__ import annotations

SHOWN_TABLES = """
-- Lists of recommendations that were shown, in the order of their commands.
CREATE TABLE shown_lists (
    num INTEGER PRIMARY KEY AUTOINCREMENT,
    collection INTEGER NOT NULL,
    id TEXT NOT NULL,                      -- its recommendation_id
    user TEXT,                             -- NULL: it was shown to nobody that is known
    anonymous INTEGER NOT NULL,            -- the user is a session
    scenario TEXT NOT NULL, arm TEXT NOT NULL,  -- empty: none
    at_ms INTEGER NOT NULL,
    items BLOB NOT NULL,                   -- numbers of used_items in the order of the list; 0: no such item
    used BLOB NOT NULL,                    -- places of the list that were used, a byte each
    event_ms INTEGER, event_n INTEGER      -- its outcome, if it has one
);
CREATE INDEX shown_lists_by_id ON shown_lists (collection, id);
CREATE INDEX shown_lists_by_user ON shown_lists (collection, user, anonymous, num) WHERE user IS NOT NULL;

-- What became of the lists of a day, in days since 1970.
CREATE TABLE hit_rates (
    collection INTEGER NOT NULL, day INTEGER NOT NULL, scenario TEXT NOT NULL, arm TEXT NOT NULL,
    lists INTEGER NOT NULL, hits INTEGER NOT NULL, items INTEGER NOT NULL, used INTEGER NOT NULL, ranks REAL NOT NULL,
    judged INTEGER NOT NULL,               -- its event is out
    PRIMARY KEY (collection, day, scenario, arm)
) WITHOUT ROWID;
CREATE INDEX hit_rates_to_judge ON hit_rates (day, collection, scenario, arm) WHERE NOT judged;
"""
