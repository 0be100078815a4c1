"""The shop's own database."""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

TABLES = """
CREATE TABLE IF NOT EXISTS products (id TEXT PRIMARY KEY, title TEXT, price REAL, state TEXT, duplicate_of TEXT);
CREATE TABLE IF NOT EXISTS similar (product TEXT PRIMARY KEY, ms INTEGER, n INTEGER, ids TEXT);
"""


@contextmanager
def database() -> Iterator[sqlite3.Connection]:
    with (
        closing(sqlite3.connect(os.environ.get("SHOP_DATABASE", "shop.sqlite3"), timeout=30)) as connection,
        connection,
    ):
        connection.executescript(TABLES)
        yield connection


def save(product: dict) -> None:
    with database() as db:
        db.execute(
            "INSERT OR REPLACE INTO products VALUES (?, ?, ?, 'waiting', NULL)",
            (product["id"], product["title"], product["price"]),
        )


def decide(product_id: str, duplicate_of: str | None) -> None:
    with database() as db:
        state = "hidden" if duplicate_of else "shown"
        db.execute("UPDATE products SET state=?, duplicate_of=? WHERE id=?", (state, duplicate_of, product_id))


def recommend(product_id: str, event_id: str, similar: list[str]) -> None:
    """Keep what the newest event says. Ids of events rise, so a repeated or late one changes nothing."""
    ms, n = map(int, event_id.split("-"))
    with database() as db:
        db.execute(
            "INSERT INTO similar VALUES (?, ?, ?, ?) ON CONFLICT (product) DO UPDATE"
            " SET ms=excluded.ms, n=excluded.n, ids=excluded.ids WHERE (excluded.ms, excluded.n) > (ms, n)",
            (product_id, ms, n, json.dumps(similar)),
        )


def everything() -> list[dict]:
    with database() as db:
        db.row_factory = sqlite3.Row
        rows = db.execute(
            "SELECT id, title, state, duplicate_of, ids FROM products LEFT JOIN similar ON product = id ORDER BY id"
        )
        return [{**row, "ids": json.loads(row["ids"] or "null")} for row in map(dict, rows)]
