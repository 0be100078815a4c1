"""``recommender pairs``: no worker, no server, the real model."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from celery_recommender.settings import Settings
from tests.integration.conftest import Run

pytestmark = [pytest.mark.model, pytest.mark.server, pytest.mark.parametrize("server", ["embedded"], indirect=True)]

TEXTS = {
    "T-1": "My card payment was declined at the supermarket",
    "T-2": "How do I change the PIN of my card?",
    "T-3": "The card payment got declined in a supermarket",
    "T-4": "Refund not received",
    "T-5": "how do I change  the PIN of my card?",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tickets.csv"
    with path.open("w", newline="") as opened:
        csv.writer(opened).writerows([("id", "text"), *TEXTS.items(), ("T-6", "")])
    return path


def test_the_most_similar_come_first(recommender: Run, file: Path, tmp_path: Path, settings: Settings) -> None:
    found = json.loads(recommender("pairs", str(file), "--top", "2", "--json", status=3).stdout)
    assert [(pair["id1"], pair["id2"]) for pair in found["pairs"]] == [("T-2", "T-5"), ("T-1", "T-3")]
    assert (found["items"], found["bad_rows"]) == (5, 1)
    assert found["pairs"][0]["similarity"] >= found["pairs"][1]["similarity"] > 0.6
    written = tmp_path / "pairs.csv"
    done = recommender("pairs", str(file), "--at-least", "0.6", "--no-repeats", "--output", str(written), status=3)
    assert "6 rows read: 5 items, 1 failed; 0 repeated ids, 1 empty texts" in done.stderr
    with written.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [(row["id1"], row["id2"], row["text1"]) for row in rows] == [("T-1", "T-3", TEXTS["T-1"])]
    shown = recommender("pairs", str(file), "--top", "1", status=3).stdout.splitlines()
    assert [line.split()[-1] for line in shown] == ["card?", "card?"]
    assert not (settings.state_dir / "state").exists(), "nothing is stored"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda path: path.write_text("id,text\na,one\n"), "holds 1 items; a pair takes two"),
        (lambda path: path.write_text(""), ""),
    ],
)
def test_too_little_is_said(recommender: Run, file: Path, change: Callable[[Path], object], says: str) -> None:
    change(file)
    done = recommender("pairs", str(file), status=1)
    assert says in done.stderr
    assert "Traceback" not in done.stderr
