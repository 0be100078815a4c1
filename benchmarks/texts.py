"""Real texts to measure with: public sets that lie beside the repository, or where RECOMMENDER_TEST_DATA says."""

from __future__ import annotations

import csv
import gzip
import os
from pathlib import Path

DATA = Path(os.environ.get("RECOMMENDER_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))

SETS = {
    "openoffice": ("bugs_openoffice/reports.csv.gz", ("title", "description")),
    "banking77": ("intent_banking77/tickets.csv.gz", ("text",)),
}


def load_texts(name: str, limit: int | None = None) -> list[str]:
    """The texts of a set, fields joined by a line break."""
    file, columns = SETS[name]
    with gzip.open(DATA / file, "rt", encoding="utf-8", newline="") as lines:
        texts = ["\n".join(row[column] for column in columns).strip() for row in csv.DictReader(lines)]
    return [text for text in texts if text][:limit]
