"""Real texts to measure with: public sets that lie beside the repository, or where RECOMMENDER_TEST_DATA says."""

from __future__ import annotations

import csv
import gzip
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

DATA = Path(os.environ.get("RECOMMENDER_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))

SETS = {
    "openoffice": ("bugs_openoffice/reports.csv.gz", ("title", "description")),
    "banking77": ("intent_banking77/tickets.csv.gz", ("text",)),
}
SAMPLE = "sample"
"""The tickets and products that come with the package: few."""

CHOICES = (*SETS, SAMPLE)


@dataclass(frozen=True)
class Texts:
    """Texts to measure with.

    Attributes:
        name: of the set.
        texts: different ones: a worker answers repeats from what it knows.
    """

    name: str
    texts: Sequence[str]

    @property
    def subject(self) -> str:
        """For people."""
        return f"{self.name}, {len(self.texts):,} texts"


def measured_texts(name: str, limit: int | None = None) -> Texts:
    """A set without its repeats; the sample where the set is not to be had."""
    if name != SAMPLE and not (DATA / SETS[name][0]).exists():
        name = SAMPLE
    texts = _sample() if name == SAMPLE else load_texts(name)
    return Texts(name, list({" ".join(text.split()).casefold(): text for text in texts}.values())[:limit])


def load_texts(name: str, limit: int | None = None) -> list[str]:
    """The texts of a set, fields joined by a line break."""
    file, columns = SETS[name]
    with gzip.open(DATA / file, "rt", encoding="utf-8", newline="") as lines:
        texts = ["\n".join(row[column] for column in columns).strip() for row in csv.DictReader(lines)]
    return [text for text in texts if text][:limit]


def _sample() -> list[str]:
    rows: list[dict[str, str]] = []
    for name in ("tickets", "products"):
        file = resources.files("celery_recommender.samples") / f"{name}.csv"
        rows += csv.DictReader(file.read_text(encoding="utf-8").splitlines())
    return [f"{row['title']}\n{row['description']}" for row in rows]
