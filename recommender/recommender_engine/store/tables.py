"""The tables of the state database."""

from __future__ import annotations

from recommender_engine.store.behaviour_tables import BEHAVIOUR_TABLES
from recommender_engine.store.second_model_tables import PREVIOUS_MODELS, SECOND_MODEL_TABLES
from recommender_engine.store.shown_tables import SHOWN_TABLES
from recommender_engine.store.subscription_tables import SUBSCRIPTION_TABLES

SCHEMA_VERSION = 13
"""Of what is here. Whoever changes it adds what brings an older state there (`recommender_engine.store.upgrades`)."""

# Indexes are in the order in which upgrades create them: SQLite chooses between equally good ones by their order.
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
    silent_since_ms INTEGER NOT NULL,
    gone_ms INTEGER NOT NULL DEFAULT 0,      -- items that arrived until then are gone, though some may be here yet
    unsorted_seq INTEGER NOT NULL DEFAULT 0, -- items up to this arrival number have no spot under the settings of now
    cut_by TEXT NOT NULL DEFAULT '',         -- the rules that texts are cut by
    uncut_seq INTEGER NOT NULL DEFAULT 0,    -- items up to this arrival number have yet to be looked at under them
    arrived TEXT NOT NULL DEFAULT '[]',      -- JSON: items that came of late, how many of them to review, how likely
    unlearned_answer INTEGER NOT NULL DEFAULT 0 -- answers up to this number have features by another model
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
    at_ms INTEGER NOT NULL DEFAULT 0,       -- stream time of its arrival
    scope INTEGER,                          -- what has to be equal in one that repeats it; NULL where nothing may
    moment INTEGER,                         -- its time in microseconds where a window counts, else 0
    compared TEXT,                          -- what of it is compared, as in content; NULL where that is all of it
    length INTEGER NOT NULL DEFAULT 0,      -- characters of its text or fields
    happened_ms INTEGER,                    -- stream time of what it reports; NULL: its arrival, 0: not known
    band INTEGER,                           -- how it stands now: 0 new, 1 similar, 2 review, 3 duplicate; NULL: expired
    stated REAL NOT NULL DEFAULT 0,         -- probability of its verdict
    worth REAL,                             -- of an answer on its pair; NULL without one
    UNIQUE (collection, id)
);
CREATE INDEX items_by_point ON items (point, seq);
CREATE INDEX items_by_group ON items (grp, seq);
CREATE INDEX items_by_fingerprint ON items (fingerprint, collection, seq);
CREATE INDEX items_by_vector ON items (vector, collection, seq);
CREATE INDEX items_by_match ON items (matched_seq);
CREATE INDEX items_by_arrival ON items (collection, at_ms, seq);
CREATE INDEX items_by_collection ON items (collection, seq);
-- What a policy lets a later item repeat; only in collections whose settings restrict that.
CREATE INDEX items_by_scope_text ON items (scope, fingerprint, moment, seq) WHERE scope IS NOT NULL;
CREATE INDEX items_by_scope_point ON items (scope, point, moment, seq) WHERE scope IS NOT NULL;
CREATE INDEX items_by_scope_time ON items (scope, moment, point) WHERE scope IS NOT NULL;
CREATE INDEX items_by_length ON items (grp, length DESC, seq);
CREATE INDEX items_by_band ON items (collection, band, seq);
CREATE INDEX items_by_probability ON items (collection, band, stated, seq);
CREATE INDEX items_by_worth ON items (collection, worth, seq) WHERE band = 2;

-- The highest version of a deleted item, so that an older upsert that comes late still loses.
CREATE TABLE tombstones (
    collection INTEGER NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL,
    at_ms INTEGER NOT NULL DEFAULT 0,  -- stream time of the deletion
    PRIMARY KEY (collection, id)
) WITHOUT ROWID;
CREATE INDEX tombstones_by_time ON tombstones (at_ms);

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

-- The first commands under their keys, for a day.
CREATE TABLE keys (
    key TEXT NOT NULL,
    collection TEXT NOT NULL,  -- its name; empty: of a command that names none
    ms INTEGER NOT NULL,
    event_ms INTEGER NOT NULL, event_n INTEGER NOT NULL,
    digest BLOB,               -- of what the command says; NULL: not known, empty: the key alone tells
    PRIMARY KEY (key, collection)
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
    kind TEXT,                                -- of text; NULL: of all kinds, in answers of before
    UNIQUE (collection, one, other)
);
CREATE INDEX answers_by_other ON answers (collection, other);
CREATE INDEX answers_by_collection ON answers (collection, id);

-- The matcher of a collection that has learned from answers.
CREATE TABLE models (
    collection INTEGER PRIMARY KEY REFERENCES collections (id),
    answers INTEGER NOT NULL,                 -- that it has learned from
    pending INTEGER NOT NULL,                 -- that it has not
    model TEXT NOT NULL
);

-- What a collection's matcher is learning beside the decisions, and when it takes effect.
CREATE TABLE lessons (
    collection INTEGER PRIMARY KEY REFERENCES collections (id),
    last INTEGER NOT NULL,                    -- the answers up to this one
    due_ms INTEGER NOT NULL,
    stale INTEGER NOT NULL,
    begun INTEGER NOT NULL
);

-- Collections that go to another partition, have gone, or have come from one.
CREATE TABLE moves (collection TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;

-- Parts of a page of a collection that arrives, until the last is there.
CREATE TABLE move_parts (
    collection TEXT NOT NULL, part INTEGER NOT NULL, data TEXT NOT NULL, PRIMARY KEY (collection, part)
);

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

-- Collections that were deleted within the last 24 hours: keys used before that count no more.
CREATE TABLE deletions (
    collection TEXT PRIMARY KEY, ms INTEGER NOT NULL, event_ms INTEGER NOT NULL, event_n INTEGER NOT NULL
) WITHOUT ROWID;

-- What long messages said that were rejected, for their dead letters; their events hold the beginning.
CREATE TABLE payloads (
    ms INTEGER NOT NULL, n INTEGER NOT NULL,  -- entry id of the event
    size INTEGER NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (ms, n, size)                 -- sizes are added up without a look at the bytes
);

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
-- How well blends of text and behaviour predicted interactions; see recommend/weights.py.
CREATE TABLE list_weights (
    collection INTEGER PRIMARY KEY,
    judged INTEGER NOT NULL, at_ms INTEGER NOT NULL, recent BLOB NOT NULL, sums BLOB NOT NULL
);

-- Whether the word index holds marks of what was removed.
INSERT INTO meta VALUES ('words were removed', '0');
"""
TABLES += BEHAVIOUR_TABLES + SHOWN_TABLES
TABLES += """
-- Interactions that have changed rows which have not been written yet, with what is needed to learn from them again.
CREATE TABLE behaviour_redo (
    interaction INTEGER PRIMARY KEY,
    weight REAL NOT NULL,
    visit TEXT,                           -- the producer's name for the session
    share REAL NOT NULL                   -- of the weight that counts for the item
);
"""
TABLES += SUBSCRIPTION_TABLES + SECOND_MODEL_TABLES + PREVIOUS_MODELS
