"""The shop's own database."""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

TABLES = """
CREATE TABLE IF NOT EXISTS products (id TEXT PRIMARY KEY, title TEXT, price REAL, state TEXT, duplicate_of TEXT);
CREATE TABLE IF NOT EXISTS similar (product TEXT PRIMARY KEY, ids TEXT);
CREATE TABLE IF NOT EXISTS seen (product TEXT, what TEXT, ms INTEGER, n INTEGER, PRIMARY KEY (product, what));
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


def show(product_id: str, duplicate_of: str | None) -> None:
    """Show a product that waits for its verdict, or hide it."""
    with database() as db:
        state = "hidden" if duplicate_of else "shown"
        db.execute(
            "UPDATE products SET state=?, duplicate_of=? WHERE id=? AND state='waiting'",
            (state, duplicate_of, product_id),
        )


def decide(product_id: str, duplicate_of: str | None, event_id: str) -> None:
    """Show or hide a product as the newest verdict says."""
    with database() as db:
        if newer(db, product_id, "verdict", event_id):
            state = "hidden" if duplicate_of else "shown"
            db.execute("UPDATE products SET state=?, duplicate_of=? WHERE id=?", (state, duplicate_of, product_id))


def reprice(product_id: str, price: float | None, event_id: str) -> None:
    """Keep the newest price."""
    with database() as db:
        if price is not None and newer(db, product_id, "price", event_id):
            db.execute("UPDATE products SET price=? WHERE id=?", (price, product_id))


def recommend(product_id: str, event_id: str, similar: list[str]) -> None:
    """Keep the newest list."""
    with database() as db:
        if newer(db, product_id, "list", event_id):
            db.execute("INSERT OR REPLACE INTO similar VALUES (?, ?)", (product_id, json.dumps(similar)))


def remove(product_id: str) -> None:
    """Take a product out; lists that have it are told anew."""
    with database() as db:
        db.execute("DELETE FROM products WHERE id=?", (product_id,))
        db.execute("DELETE FROM similar WHERE product=?", (product_id,))


def newer(db: sqlite3.Connection, product_id: str, what: str, event_id: str) -> bool:
    """Note an event, unless a later one has come already: ids of events rise, and tasks may run in another order."""
    ms, n = map(int, event_id.split("-"))
    done = db.execute(
        "INSERT INTO seen VALUES (?, ?, ?, ?) ON CONFLICT (product, what) DO UPDATE"
        " SET ms=excluded.ms, n=excluded.n WHERE (excluded.ms, excluded.n) > (ms, n)",
        (product_id, what, ms, n),
    )
    return done.rowcount == 1


def everything() -> list[dict]:
    with database() as db:
        db.row_factory = sqlite3.Row
        rows = db.execute(
            "SELECT id, title, price, state, duplicate_of, ids"
            " FROM products LEFT JOIN similar ON product = id ORDER BY id"
        )
        return [{**row, "ids": json.loads(row["ids"] or "[]")} for row in map(dict, rows)]
