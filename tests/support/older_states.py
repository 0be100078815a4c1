"""States as earlier releases left them, made from one of this release."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from recommender_engine.opening import DATABASE


def make_schema_11(directory: Path) -> None:
    """Take out of a state what schema 12 has and schema 11 had not."""
    with closing(sqlite3.connect(directory / DATABASE)) as database:
        for table in ("second_models", "dropped_models"):
            database.execute(f"DROP TABLE {table}")
        database.execute("ALTER TABLE collections DROP COLUMN unlearned_answer")
        database.execute("PRAGMA user_version=11")
        database.commit()


def make_schema_10(directory: Path) -> None:
    """Take out of a state what schemas 11 and 12 have and schema 10 had not."""
    make_schema_11(directory)
    with closing(sqlite3.connect(directory / DATABASE)) as database:
        for index in ("items_by_band", "items_by_probability", "items_by_worth", "answers_by_collection"):
            database.execute(f"DROP INDEX {index}")
        for column in ("band", "stated", "worth"):
            database.execute(f"ALTER TABLE items DROP COLUMN {column}")
        for table in (
            "standings",
            "probabilities",
            "arrivals",
            "shown_lists",
            "list_weights",
            "hit_rates",
            "behaviour_redo",
            "subscriptions",
            "listed_items",
            "list_changes",
        ):
            database.execute(f"DROP TABLE {table}")
        database.execute("PRAGMA user_version=10")
        database.commit()
