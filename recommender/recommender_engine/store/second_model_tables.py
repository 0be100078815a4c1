"""The tables of second models."""

from __future__ import annotations

SECOND_MODEL_TABLES = """
-- The model by which a collection is embedded beside its live one: proposed, or live until the latest switch.
CREATE TABLE second_models (
    collection INTEGER PRIMARY KEY REFERENCES collections (id),
    name TEXT NOT NULL,
    model TEXT NOT NULL,                  -- identity of its vectors
    dimension INTEGER NOT NULL,
    embedded_seq INTEGER NOT NULL,        -- items up to this arrival number have been embedded by it
    tries INTEGER NOT NULL                -- how often the items behind that were begun
);

-- Models that no collection has any more, while those of their vectors that nothing uses are deleted.
CREATE TABLE dropped_models (
    model TEXT PRIMARY KEY,
    key BLOB NOT NULL                     -- vectors up to this key have been looked at
) WITHOUT ROWID;
"""

PREVIOUS_MODELS = """
-- 1 for the model that was live before the latest switch, 0 for one that is proposed.
ALTER TABLE second_models ADD COLUMN previous INTEGER NOT NULL DEFAULT 0;
"""
