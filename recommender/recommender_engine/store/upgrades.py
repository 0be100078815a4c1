"""Upgrades of the tables of a state from an older release."""

# Upgrade steps repeat parts of the current tables.
# pylint: disable=duplicate-code

from __future__ import annotations

import json

from recommender_engine.store.behaviour_tables import BEHAVIOUR_TABLES
from recommender_engine.store.older_rows import narrow_items, narrow_partners, narrow_ring
from recommender_engine.store.second_model_tables import PREVIOUS_MODELS, SECOND_MODEL_TABLES
from recommender_engine.store.shown_tables import SHOWN_TABLES
from recommender_engine.store.subscription_tables import SUBSCRIPTION_TABLES

# The statements from each schema version to the next, as in `TABLES`.
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
    6: """
ALTER TABLE items ADD COLUMN compared TEXT;  -- what of it is compared, as in content; NULL where that is all of it
-- The rules that texts are cut by. Items up to this arrival number have yet to be looked at under them.
ALTER TABLE collections ADD COLUMN cut_by TEXT NOT NULL DEFAULT '';
ALTER TABLE collections ADD COLUMN uncut_seq INTEGER NOT NULL DEFAULT 0;
""",
    7: """
-- JSON: items that came of late, how many of them to review, and how likely they were.
ALTER TABLE collections ADD COLUMN arrived TEXT NOT NULL DEFAULT '[]';
""",
    8: """
ALTER TABLE answers ADD COLUMN kind TEXT;  -- of text; NULL: of all kinds, in answers of before
""",
    9: """
ALTER TABLE items ADD COLUMN length INTEGER NOT NULL DEFAULT 0;  -- characters of its text or fields
UPDATE items SET length = said_length(content);
CREATE INDEX items_by_length ON items (grp, length DESC, seq);
""",
    10: """
ALTER TABLE items ADD COLUMN happened_ms INTEGER;  -- stream time of what it reports; NULL: its arrival, 0: not known

-- How many items happened in each hour since 1970, in collections that watch for incidents.
CREATE TABLE traffic (
    collection INTEGER NOT NULL, hour INTEGER NOT NULL, items INTEGER NOT NULL, PRIMARY KEY (collection, hour)
) WITHOUT ROWID;

-- Groups that grow out of their baseline, and for some hours those that did.
CREATE TABLE incidents (
    collection INTEGER NOT NULL, id TEXT NOT NULL, state TEXT NOT NULL, PRIMARY KEY (collection, id)
) WITHOUT ROWID;

-- How far recent arrivals were from what was there before, by hash of the arrival number.
CREATE TABLE novelty (
    collection INTEGER NOT NULL, slot INTEGER NOT NULL, distance REAL NOT NULL, PRIMARY KEY (collection, slot)
) WITHOUT ROWID;
"""
    + BEHAVIOUR_TABLES,
    11: """
-- How an item stands now. An older verdict does not say by which model: its worth is the probability.
ALTER TABLE items ADD COLUMN band INTEGER;                    -- 0 new, 1 similar, 2 review, 3 duplicate; NULL: expired
ALTER TABLE items ADD COLUMN stated REAL NOT NULL DEFAULT 0;  -- probability of its verdict
ALTER TABLE items ADD COLUMN worth REAL;                      -- of an answer on its pair; NULL without one
UPDATE items SET worth = json_extract(verdict, '$.probability'), band = CASE WHEN grp = '' THEN NULL
    WHEN seq > (SELECT min(seq) FROM items AS head WHERE head.grp = items.grp) THEN 3
    ELSE CASE json_extract(verdict, '$.band') WHEN 'similar' THEN 1 WHEN 'review' THEN 2 ELSE 0 END END;
UPDATE items SET stated = worth WHERE worth IS NOT NULL
    AND (band IS NOT 0 OR EXISTS (SELECT 1 FROM items AS other WHERE other.seq = items.matched_seq));
CREATE INDEX items_by_band ON items (collection, band, seq);
CREATE INDEX items_by_probability ON items (collection, band, stated, seq);
CREATE INDEX items_by_worth ON items (collection, worth, seq) WHERE band = 2;
CREATE INDEX answers_by_collection ON answers (collection, id);

-- Items of a collection by the band in which they stand now, and its groups of two items or more.
CREATE TABLE standings (
    collection INTEGER NOT NULL, what TEXT NOT NULL, items INTEGER NOT NULL, PRIMARY KEY (collection, what)
) WITHOUT ROWID;

-- The same by the thousandth of the probability of their verdicts.
CREATE TABLE probabilities (
    collection INTEGER NOT NULL, band INTEGER NOT NULL, part INTEGER NOT NULL, items INTEGER NOT NULL,
    PRIMARY KEY (collection, band, part)
) WITHOUT ROWID;

-- How many items arrived in each of the latest hours and days, by the band in which they were put.
CREATE TABLE arrivals (
    collection INTEGER NOT NULL, span_ms INTEGER NOT NULL, start_ms INTEGER NOT NULL, band INTEGER NOT NULL,
    items INTEGER NOT NULL,
    PRIMARY KEY (collection, span_ms, start_ms, band)
) WITHOUT ROWID;
INSERT INTO standings SELECT collection, CASE band WHEN 0 THEN 'new' WHEN 1 THEN 'similar' WHEN 2 THEN 'review'
    ELSE 'duplicate' END, count(*) FROM items WHERE band IS NOT NULL GROUP BY collection, band;
INSERT INTO standings SELECT collection, 'groups', count(*) FROM (
    SELECT collection FROM items WHERE grp <> '' GROUP BY collection, grp HAVING count(*) > 1) GROUP BY collection;
INSERT INTO probabilities SELECT collection, band, CAST(stated * 1000 AS INTEGER), count(*) FROM items
    WHERE band IS NOT NULL GROUP BY collection, band, CAST(stated * 1000 AS INTEGER);
INSERT INTO arrivals SELECT items.collection, 3600000, at_ms / 3600000 * 3600000, band, count(*) FROM items
    JOIN (SELECT collection, max(at_ms) / 3600000 AS latest FROM items GROUP BY collection) AS ends
    ON ends.collection = items.collection
    WHERE band IS NOT NULL AND at_ms / 3600000 > latest - 48 GROUP BY items.collection, at_ms / 3600000, band;
INSERT INTO arrivals SELECT items.collection, 86400000, at_ms / 86400000 * 86400000, band, count(*) FROM items
    JOIN (SELECT collection, max(at_ms) / 86400000 AS latest FROM items GROUP BY collection) AS ends
    ON ends.collection = items.collection
    WHERE band IS NOT NULL AND at_ms / 86400000 > latest - 60 GROUP BY items.collection, at_ms / 86400000, band;

UPDATE used_items SET partners = narrow_partners(partners), ring = narrow_ring(ring);
UPDATE sessions SET items = narrow_items(items);

-- Interactions that have changed rows which have not been written yet, with what is needed to learn from them again.
CREATE TABLE behaviour_redo (
    interaction INTEGER PRIMARY KEY,
    weight REAL NOT NULL,
    visit TEXT,                           -- the producer's name for the session
    share REAL NOT NULL                   -- of the weight that counts for the item
);

-- How well blends of text and behaviour predicted interactions; see recommend/weights.py.
CREATE TABLE list_weights (
    collection INTEGER PRIMARY KEY,
    judged INTEGER NOT NULL, at_ms INTEGER NOT NULL, recent BLOB NOT NULL, sums BLOB NOT NULL
);
""",
}
UPGRADES[11] += SHOWN_TABLES + SUBSCRIPTION_TABLES
UPGRADES[12] = "ALTER TABLE collections ADD COLUMN unlearned_answer INTEGER NOT NULL DEFAULT 0;\n" + SECOND_MODEL_TABLES
UPGRADES[13] = PREVIOUS_MODELS


def said_length(content: str) -> int:
    """Characters of an item's content, from the column ``content``; an SQL function for the statements above."""
    said = json.loads(content)
    return len(said["text"]) if said["text"] is not None else sum(map(len, said["fields"].values()))


FUNCTIONS = (said_length, narrow_partners, narrow_ring, narrow_items)
"""Functions of one argument that the statements call by name."""
