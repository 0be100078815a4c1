"""Windows over long texts beside cutting them off: how often the nearest earlier report is a twin, by cosine alone."""

from __future__ import annotations

import csv
import gzip
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.output import publish, show, timed
from benchmarks.report import Report
from benchmarks.texts import DATA
from recommender_engine.embedding import KNOWN_MODELS, ModelCatalogue
from recommender_engine.items import DEFAULT_MODEL
from recommender_engine.items.limits import MAX_WINDOWS

DEPTHS = (1, 5, 10)
_FOLDER = DATA / "bugs_openoffice"


@click.command("long-texts")
@click.option("--limit", type=int, help="The first reports only.")
def long_texts(limit: int | None) -> None:
    """Windows over long texts beside cutting them off."""
    report = measure(limit)
    show(report)
    publish([report])


@timed
def measure(limit: int | None) -> Report:
    """hit@1, 5 and 10 both ways, over the reports with an earlier twin: all of them, and those that are long."""
    rows = _rows("reports.csv.gz")[:limit]
    texts = [f"{row['title']}\n{row['description']}".strip() for row in rows]
    groups = _groups([row["bug_id"] for row in rows])
    results: dict[str, Any] = {"reports": len(texts)}
    long = None
    with tempfile.TemporaryDirectory(prefix="recommender-bench-") as cache:
        for name, windows in (("truncate", 1), ("windows", MAX_WINDOWS)):
            encoder = ModelCatalogue(KNOWN_MODELS, None, "auto", Path(cache), windows).encoder(DEFAULT_MODEL)
            started = time.perf_counter()
            vectors, truncated = encoder.encode(texts)
            results[f"{name}: seconds"] = round(time.perf_counter() - started, 1)
            long = truncated if long is None else long
            hits = _hits(vectors, groups)
            results["reports with an earlier twin, all and long"] = len(hits), sum(bool(long[place]) for place in hits)
            for kind, places in (("all", list(hits)), ("long", [place for place in hits if long[place]])):
                found = np.array([hits[place] for place in places])
                results[f"{name}: hit@1, 5, 10, {kind}"] = ", ".join(f"{share:.3f}" for share in found.mean(axis=0))
    return Report("long-texts", "Windows over long texts beside cutting them off", facts=results)


def _rows(file: str) -> list[dict[str, str]]:
    with gzip.open(_FOLDER / file, "rt", encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _groups(ids: list[str]) -> list[str]:
    """The group of each report: the root of what it is said to repeat."""
    parent = {row["bug_id"]: row["duplicate_of"] for row in _rows("duplicates.csv.gz")}

    def root(one: str) -> str:
        seen = {one}
        while (above := parent.get(one)) is not None and above not in seen:
            seen.add(above)
            one = above
        return one

    return [root(one) for one in ids]


def _hits(vectors: Any, groups: list[str]) -> dict[int, list[bool]]:
    """By the place of a report with an earlier twin: whether one is among its nearest earlier ones, for each depth."""
    seen: dict[str, int] = {}
    hits = {}
    for place, group in enumerate(groups):
        if seen.setdefault(group, place) < place:
            nearest = np.argsort(-(vectors[:place] @ vectors[place]), kind="stable")[: max(DEPTHS)]
            twins = [groups[other] == group for other in nearest]
            hits[place] = [any(twins[:depth]) for depth in DEPTHS]
    return hits
