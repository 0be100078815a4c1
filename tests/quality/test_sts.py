"""The embedding path gives what is published for the default model: Spearman correlation with human judgement.

Reference figures: MTEB (Muennighoff et al. 2023), ``sentence-transformers/all-MiniLM-L6-v2``, cosine.
"""

from __future__ import annotations

import csv
import gzip
import importlib.util
import os
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from scipy.stats import spearmanr

from recommender_engine.embedding import KNOWN_MODELS, ModelCatalogue

pytestmark = [pytest.mark.quality, pytest.mark.model]

BATCH = 1024


class Pair(NamedTuple):
    left: str
    right: str
    score: float


@cache
def rows(file: str) -> tuple[dict[str, str], ...]:
    beside = Path(__file__).parents[3] / "shared" / "data"
    path = Path(os.environ.get("RECOMMENDER_TEST_DATA", beside)) / "sts" / file
    if not path.is_file():
        pytest.skip(f"needs {path}: set RECOMMENDER_TEST_DATA to the folder of the labelled data")
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        return tuple(csv.DictReader(lines))


def pairs(file: str, **wanted: str) -> list[Pair]:
    return [
        Pair(row["text1"], row["text2"], float(row["score"]))
        for row in rows(file)
        if all(row[column] == value for column, value in wanted.items())
    ]


@pytest.fixture(scope="module")
def models() -> ModelCatalogue:
    return ModelCatalogue(KNOWN_MODELS)


def spearman(models: ModelCatalogue, pairs: list[Pair]) -> float:
    """Rank correlation of cosine and score over all pairs, times 100; each distinct text is embedded once."""
    encoder = models.encoder("all-MiniLM-L6-v2")
    texts = sorted({text for pair in pairs for text in (pair.left, pair.right)}, key=len)
    batches = [encoder.encode(texts[start : start + BATCH]).vectors for start in range(0, len(texts), BATCH)]
    vectors = np.concatenate(batches)
    place = {text: number for number, text in enumerate(texts)}
    left = vectors[[place[pair.left] for pair in pairs]]
    right = vectors[[place[pair.right] for pair in pairs]]
    cosines = np.einsum("ij,ij->i", left, right)
    return 100 * float(spearmanr(cosines, [pair.score for pair in pairs]).statistic)


def test_sts_benchmark(models: ModelCatalogue) -> None:
    test_split = pairs("stsbenchmark.csv.gz", split="test")

    assert len(test_split) == 1379
    assert spearman(models, test_split) == pytest.approx(82.03, abs=0.1)


@pytest.mark.parametrize("backend", ["torch-bfloat16", "openvino-bfloat16"])
def test_sts_benchmark_in_the_number_types_that_auto_chooses_from(backend: str) -> None:
    if backend.startswith("openvino") and importlib.util.find_spec("openvino") is None:
        pytest.skip("needs the extra openvino")
    test_split = pairs("stsbenchmark.csv.gz", split="test")

    assert spearman(ModelCatalogue(KNOWN_MODELS, backend=backend), test_split) == pytest.approx(82.03, abs=0.1)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(importlib.util.find_spec("nncf") is None, reason="needs the extra int8")
def test_what_int8_costs() -> None:
    int8 = ModelCatalogue(KNOWN_MODELS, backend="openvino-int8")

    assert spearman(int8, pairs("stsbenchmark.csv.gz", split="test")) == pytest.approx(82.03, abs=0.3)
    assert spearman(int8, pairs("sick.csv.gz")) == pytest.approx(77.58, abs=0.5)


def test_sick_relatedness(models: ModelCatalogue) -> None:
    whole = pairs("sick.csv.gz")

    assert len(whole) == 9927
    assert spearman(models, whole) == pytest.approx(77.58, abs=0.1)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("year", "count", "published"),
    [
        ("STS12", 3108, 72.37),
        ("STS13", 1500, 80.60),
        ("STS14", 3750, 75.59),
        ("STS15", 3000, 85.39),
        ("STS16", 1186, 78.99),
    ],
)
def test_sts_by_year(models: ModelCatalogue, year: str, count: int, published: float) -> None:
    year_pairs = pairs("sts12_16.csv.gz", year=year)

    assert len(year_pairs) == count
    assert spearman(models, year_pairs) == pytest.approx(published, abs=0.1)
