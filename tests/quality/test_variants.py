"""Variants among real names of products, by their numbers in Abt-Buy."""

from __future__ import annotations

import csv
import gzip
import os
from itertools import combinations
from pathlib import Path

import pytest

from recommender_engine.items import Item
from recommender_engine.matching import Family, family_of
from tests.support.processes import ROOT

NAMES = Path(os.environ.get("RECOMMENDER_TEST_DATA", ROOT.parent / "shared" / "data")) / "product_abt_buy/left.csv.gz"

# Colours of one product, by hand.
FAMILIES = (
    {715, 714}, {230, 257}, {639, 640, 636}, {267, 269}, {333, 334}, {65, 64}, {405, 404}, {433, 431, 432}, {817, 816},
    {444, 443}, {482, 481}, {701, 700}, {476, 480}, {928, 927}, {385, 387}, {529, 530},
)  # fmt: skip
# Two products of one maker and kind.
OTHERS = (
    (488, 486), (488, 992), (534, 256), (37, 290), (976, 977), (444, 482), (444, 476), (700, 695), (715, 267),
    (433, 817),
)  # fmt: skip


@pytest.fixture(scope="module")
def families() -> dict[int, Family | None]:
    if not NAMES.exists():
        pytest.skip(f"needs {NAMES}: set RECOMMENDER_TEST_DATA to the folder of the labelled data")
    with gzip.open(NAMES, "rt", encoding="utf-8", newline="") as lines:
        return {int(row["id"]): family_of(Item(id="x", text=row["name"])) for row in csv.DictReader(lines)}


def _variants(families: dict[int, Family | None], one: int, other: int) -> bool:
    mine, theirs = families[one], families[other]
    return mine is not None and theirs is not None and mine.includes(theirs)


def test_colours_of_one_product_are_a_family(families: dict[int, Family | None]) -> None:
    pairs = [pair for family in FAMILIES for pair in combinations(sorted(family), 2)]
    assert [pair for pair in pairs if not _variants(families, *pair)] == []


def test_products_of_one_maker_and_kind_are_none(families: dict[int, Family | None]) -> None:
    across = [(min(one), min(other)) for one, other in combinations(FAMILIES, 2)]
    assert [pair for pair in (*OTHERS, *across) if _variants(families, *pair)] == []
