"""The page about capacity: its figures are measured ones, and its examples follow from them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from celery_recommender.settings import Settings
from recommender_engine.index.adaptive import AUTO_HNSW_FROM

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "capacity.md").read_text()
MEASURED = (DOCS / "measurements.md").read_text()

PROCESSOR_MS = {"short": 2.74, "long": 9.65}
WORKER_GIB, INDEX_BYTES, DATABASE_BYTES, GRAPH_BYTES = 1.2, 1_989, 4_900, 1_700
HALF_LOAD, TEXT_BYTES, EVENTS_GB, BATCH = 2, 1000, 1.0, 1.25


def _section(title: str) -> list[list[str]]:
    rows = PAGE.split(f"## {title}\n")[1].split("\n## ")[0].splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows if row.startswith("|")]
    return cells[2:]


def test_every_figure_was_measured() -> None:
    rows = _section("The figures behind it")
    assert len(rows) > 8
    for what, figures in rows:
        for figure in re.findall(r"\d[\d.,]*\d|\d", figures):
            assert re.search(rf"(?<![\d.,]){re.escape(figure)}(?![\d.,]*\d)", MEASURED), (what, figure)
    for figure in (*PROCESSOR_MS.values(), f"{INDEX_BYTES:,}", "4.9 GB", "1.7 GB"):
        assert str(figure) in MEASURED


def _number(text: str) -> float:
    times = re.match(r"(\d+) \u00d7 ", text)
    return float(re.findall(r"[\d,.]*\d", text)[-1].replace(",", "")) * (float(times[1]) if times else 1)


@pytest.mark.parametrize("row", _section("Examples"), ids=lambda row: " ".join(row[:2]))
def test_an_example_is_what_the_rules_give_and_not_much_more(row: list[str]) -> None:
    items, (rate, kind) = _number(row[0]), row[1].split(", ")
    per_second, owners = float(rate), 2 if "two partitions" in row[2] else 1
    processors = max(1.0, per_second * PROCESSOR_MS[kind] / 1000 * HALF_LOAD)
    memory = (WORKER_GIB * owners + INDEX_BYTES * items / 2**30) * BATCH
    state = items * (DATABASE_BYTES + (2 * GRAPH_BYTES if items >= AUTO_HNSW_FROM else 0)) / 1e9
    backups = (Settings().backup_keep + 1) * DATABASE_BYTES * items / 1e9
    redis = EVENTS_GB + Settings().backup_every_s * per_second * TEXT_BYTES / 1e9
    given = [float(re.findall(r"[\d.]+", row[2])[0]), *(_number(cell) for cell in row[3:])]
    for told, needed in zip(given, (processors, memory, state, backups, redis), strict=True):
        assert needed * 0.98 <= told <= max(needed * 1.6, needed + 0.6), (row, needed)
