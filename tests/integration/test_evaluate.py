"""``recommender evaluate`` as its user types it. Vectors are recorded beforehand, so that no model is loaded."""

from __future__ import annotations

import csv
import json
import random
import subprocess
from contextlib import chdir
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from celery_recommender.cli.data.evaluation_output import PAIR_ERROR_COLUMNS, STREAM_ERROR_COLUMNS
from celery_recommender.settings import Settings
from recommender_engine.evaluation import RecordedEncoder
from recommender_engine.testing import DeterministicEncoder
from tests.support.command_line import call

NAMES = [f"{first}{second}" for first in ("alder", "birch", "cedar", "larch") for second in "abcdefghij"]


def run(folder: Path, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    with chdir(folder):
        done = call(Settings(state_dir=folder / "state"), "evaluate", *arguments)
    assert done.returncode == status, done.stdout + done.stderr
    return done


def record(path: Path, texts: list[str]) -> None:
    encoder = RecordedEncoder(DeterministicEncoder, path)
    encoder.encode(texts)
    encoder.save()


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Each bottle against itself in other words and against the next, in splits; and a row that is no pair."""
    rows = []
    for place, name in enumerate(NAMES):
        split = ("train", "valid", "test", "train")[place % 4]
        following = NAMES[(place + 4) % len(NAMES)]
        for other, label in ((name, 1), (following, 0)):
            rows.append((split, f"steel bottle {name}", "20.5", f"bottle {other} of steel", "", label))
    rows.append(("exam", "steel", "", "bottle", "", 1))
    with (tmp_path / "pairs.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["split", "left_title", "left_price", "right_title", "right_price", "label"])
        writer.writerows(rows)
    record(tmp_path / "vectors.npz", [text for row in rows for text in (row[1], row[3])])
    return tmp_path


def test_pairs(pairs: Path) -> None:
    options = ("--vectors", "vectors.npz", "--plot", "out.png", "--errors", "errors.csv", "--json")
    done = run(pairs, "pairs", "pairs.csv", "--learn", "--curve", *options, status=3)
    said: dict[str, Any] = json.loads(done.stdout)
    keys = {"average_precision", "best_f1", "f1", "precision", "recall", "threshold", "expected_calibration_error"}
    assert keys <= said.keys()
    assert keys <= said["learned"].keys()
    assert said["baselines"].keys() == {"cosine", "tfidf"}
    assert (said["judged_on"], said["pairs"], said["same"]) == ("test", 20, 10)
    assert said["learned"]["expected_calibration_error"] <= said["expected_calibration_error"]
    assert [point["answers"] for point in said["curve"]] == [0, 10, 30]
    assert [(bad["row"], bad["error"].partition(":")[0]) for bad in said["bad_rows"]] == [(81, "column 'split'")]
    assert (pairs / "out.png").read_bytes().startswith(b"\x89PNG")
    with (pairs / "errors.csv").open(newline="") as file:
        reader = csv.DictReader(file)
        assert tuple(reader.fieldnames or ()) == PAIR_ERROR_COLUMNS
        rows = list(reader)
    missed = sum(row["error"] == "missed" for row in rows)
    assert all(row["explanation"] for row in rows)
    assert missed == round((1 - said["learned"]["bands"]["duplicate"]["recall"]) * said["same"])


def test_pairs_for_people(pairs: Path) -> None:
    shown = run(pairs, "pairs", "pairs.csv", "--vectors", "vectors.npz", status=3).stdout
    assert "20 pairs judged (test), 10 of them the same thing" in shown
    assert "as shipped" in shown
    assert "skipped pairs.csv, row 81: column 'split'" in shown


def test_pairs_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("text1,text2,label\nred cup,cup red,maybe\nred cup,N/A,1\n")
    told = run(tmp_path, "pairs", "pairs.csv", status=1).stderr
    assert "skipped pairs.csv, row 2: text2: no text in column 'text' (a placeholder says nothing)" in told
    assert "no row is a pair that can be judged" in told


def test_stream(tmp_path: Path) -> None:
    texts = {f"{place}": f"The {name} printer on the second floor lost its paper" for place, name in enumerate(NAMES)}
    texts |= {"again": texts["3"].upper(), "once more": texts["3"]}
    with (tmp_path / "tickets.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("number", "body"), *texts.items(), ("empty", "")])
    (tmp_path / "same.csv").write_text("one,other\nagain,3\nonce more,again\n")
    record(tmp_path / "vectors.npz", list(texts.values()))
    options = ("--id-field", "number", "--text-field", "body", "--vectors", "vectors.npz", "--errors", "errors.csv")
    said = json.loads(run(tmp_path, "stream", "tickets.csv", "same.csv", *options, "--json", status=3).stdout)
    assert said["items"] == len(texts)
    assert said["twins"] == 2
    assert said["pair_recall"] == 1.0
    assert said["hit_at"]["1"] == 1.0
    assert said["items_per_s"] > 0
    assert {
        "pair_precision",
        "bcubed_precision",
        "bcubed_recall",
        "bcubed_f1",
        "review_recall",
        "review_twins",
        "looked_at",
    } <= said.keys()
    assert said["bad_rows"] == [{"file": "tickets.csv", "row": 43, "error": "no text in column 'body'"}]
    with (tmp_path / "errors.csv").open(newline="") as file:
        assert tuple(csv.DictReader(file).fieldnames or ()) == STREAM_ERROR_COLUMNS


def test_a_missing_folder_is_reported_before_the_work(pairs: Path) -> None:
    assert "there is no folder" in run(pairs, "pairs", "pairs.csv", "--errors", "absent/out.csv", status=2).stderr


def test_wrong_setting_names_itself(tmp_path: Path) -> None:
    (tmp_path / "i.csv").write_text("id,text\n1,one\n")
    (tmp_path / "t.csv").write_text("a,b\n1,1\n")
    unknown = run(tmp_path, "stream", "i.csv", "t.csv", "--collection-settings", "nonsense=1", status=2)
    assert "nonsense=1" in unknown.stderr
    wrong = run(tmp_path, "stream", "i.csv", "t.csv", "--collection-settings", "target_precision=7", status=1)
    assert "target_precision" in wrong.stderr


# -- recommendations ---------------------------------------------------------------------------------------------------

BEGIN = datetime(2026, 3, 2, 10, tzinfo=UTC)
SPLIT = BEGIN + timedelta(days=60)
KINDS = ("cup", "lamp", "bag", "clock")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Items in four kinds of seven; each of six users buys a few of one kind every few days, and one thing again."""
    drawn = random.Random(5)
    things = {f"{kind}-{place}": f"{kind} {NAMES[place]}" for kind in KINDS for place in range(7)}
    with (tmp_path / "items.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("id", "text"), *things.items()])
    with (tmp_path / "orders.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("customer", "session", "item", "time"))
        for order in range(400):
            kind, at = KINDS[order % 4], BEGIN + timedelta(hours=6 * order)
            bought = {f"{kind}-{place}" for place in drawn.sample(range(7), 4)} | {f"{kind}-0"}
            writer.writerows((f"u{order % 4}", f"o{order}", item, at.isoformat()) for item in sorted(bought))
    record(tmp_path / "vectors.npz", list(things.values()))
    return tmp_path


RECOMMENDATIONS = ("recommendations", "items.csv", "orders.csv", "--interaction-field", "user=customer")


def test_recommendations(shop: Path) -> None:
    options = ("--split", SPLIT.isoformat(), "--min-joint", "5", "--vectors", "vectors.npz")
    said = json.loads(run(shop, *RECOMMENDATIONS, *options, "--json").stdout)
    assert said["candidates"] == 28
    assert said["interactions"]["known"] + said["interactions"]["truth"] > 1600
    names = {"popularity", "text", "tfidf", "co_occurrence", "recent_co_occurrence", "own_frequency", "random"}
    assert said["baselines"].keys() == names
    keys = {"recall_at_10", "ndcg_at_10", "recall_at_10_se", "coverage", "intra_list_similarity", "novelty"}
    for figures in (said["items"], said["baselines"]["text"]["items"]):
        assert keys <= figures.keys()
        assert figures["queries"] == 28
        assert (figures["warm"]["queries"], figures["cold"]["queries"]) == (28, 0)
    co_occurrence = said["baselines"]["co_occurrence"]
    assert co_occurrence["items"]["recall_at_10"] == 1.0  # all six others of the kind
    assert said["baselines"]["random"]["items"]["recall_at_10"] < 0.7
    assert "items" not in said["baselines"]["own_frequency"]
    assert said["baselines"]["own_frequency"]["users"]["all"]["recall_at_10"] == 1.0
    assert {"all", "new"} == co_occurrence["users"].keys()
    shown = run(shop, *RECOMMENDATIONS, *options).stdout
    assert "28 items may be recommended" in shown
    assert "co occurrence" in shown


def test_recommendations_without_users_and_without_pairs(shop: Path) -> None:
    lines = ["session,item,time", *(f"s{day},cup-{day % 7},2026-06-{day:02}" for day in range(1, 29))]
    (shop / "visits.csv").write_text("\n".join(lines))
    options = ("--split", "2026-06-20", "--vectors", "vectors.npz")
    said = json.loads(run(shop, "recommendations", "items.csv", "visits.csv", *options, "--json").stdout)
    assert (said["items"]["queries"], said["items"]["recall_at_10"]) == (0, None)
    assert (said["users"]["all"]["queries"], said["users"]["new"]["coverage"]) == (0, None)
    assert "recommender" in run(shop, "recommendations", "items.csv", "visits.csv", *options).stdout


def test_recommendations_name_bad_rows(shop: Path) -> None:
    with (shop / "orders.csv").open("a") as file:
        file.write(f"{'u' * 300},s,cup-1,2026-06-01\nu1,s,cup-1,yesterday\nu1,s,vase-9,2026-06-01\n")
        file.write(",,cup-1,2026-06-01\nu1,s,,2026-06-01\n")
    options = ("--split", "2026-05-01", "--until", "2026-06-02", "--vectors", "vectors.npz", "--json")
    said = json.loads(run(shop, *RECOMMENDATIONS, *options, status=3).stdout)
    last = said["bad_rows"][-1]["row"]
    assert [(bad["row"] - last, bad["error"]) for bad in said["bad_rows"]] == [
        (-4, "invalid_value: user: longer than 256 bytes in UTF-8 (got string)"),
        (-3, "column 'time': not a date"),
        (-2, "column 'item': not the id of one of the items"),
        (-1, "neither a user nor a session in column 'customer', 'session'"),
        (0, "column 'item': no item"),
    ]
    assert said["until"] == "2026-06-02T00:00:00.000+00:00"


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (("--split", "soon"), 2, "'soon': not a date"),
        (("--split", "2026-05-01", "--until", "2026-04-01"), 2, "--until is not after --split"),
        (("--split", "2020-01-01"), 1, "no interaction before the split"),
        (("--split", "2030-01-01"), 1, "no interaction from the split to the end"),
        (("--split", "2026-05-01", "--interaction-field", "colour=x"), 1, "no field 'colour' of interactions"),
        (("--split", "2026-05-01", "--interaction-field", "time=when"), 1, "no column 'when'; there are 'customer'"),
        (("--split", "2026-05-01", "--interaction-field", "time"), 2, "is not FIELD=COLUMN"),
    ],
)
def test_recommendations_say_what_is_wrong(shop: Path, options: tuple[str, ...], status: int, message: str) -> None:
    assert message in run(shop, *RECOMMENDATIONS, *options, "--vectors", "vectors.npz", status=status).stderr
