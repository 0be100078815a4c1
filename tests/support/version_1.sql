CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE collections (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    settings TEXT NOT NULL,
    model TEXT,
    dimension INTEGER,
    silent_commands INTEGER NOT NULL,
    silent_bands TEXT NOT NULL,
    silent_since_ms INTEGER NOT NULL
);

CREATE TABLE vectors (
    id INTEGER PRIMARY KEY,
    model TEXT NOT NULL,
    key BLOB NOT NULL,
    truncated INTEGER NOT NULL,
    data BLOB NOT NULL,
    UNIQUE (model, key)
);

CREATE TABLE points (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    collection INTEGER NOT NULL REFERENCES collections (id),
    vector INTEGER NOT NULL REFERENCES vectors (id)
);
CREATE INDEX points_by_collection ON points (collection, id);
CREATE INDEX points_by_vector ON points (vector);

CREATE TABLE items (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    collection INTEGER NOT NULL REFERENCES collections (id),
    id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    version INTEGER,
    content TEXT NOT NULL,
    attributes TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    vector INTEGER NOT NULL REFERENCES vectors (id),
    point INTEGER NOT NULL REFERENCES points (id),
    grp TEXT NOT NULL,
    verdict TEXT,
    matched_seq INTEGER,
    UNIQUE (collection, id)
);
CREATE INDEX items_by_point ON items (point, seq);
CREATE INDEX items_by_group ON items (grp, seq);
CREATE INDEX items_by_fingerprint ON items (fingerprint, collection, seq);
CREATE INDEX items_by_vector ON items (vector, collection, seq);
CREATE INDEX items_by_match ON items (matched_seq);

CREATE TABLE tombstones (
    collection INTEGER NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (collection, id)
) WITHOUT ROWID;

CREATE TABLE outbox (
    ms INTEGER NOT NULL, n INTEGER NOT NULL,
    type TEXT NOT NULL,
    collection TEXT, item_id TEXT,
    matched_id TEXT,
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

CREATE TABLE replies (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    reply_to TEXT NOT NULL,
    event_ms INTEGER NOT NULL, event_n INTEGER NOT NULL
);
CREATE INDEX replies_by_event ON replies (event_ms, event_n);

CREATE TABLE redactions (ms INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (ms, n)) WITHOUT ROWID;
