"""A person measures a precision: at a terminal, by lines on standard input, and by a file filled in elsewhere."""

from __future__ import annotations

import csv
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from celery_recommender.client import Client
from celery_recommender.settings import Settings
from tests.integration.conftest import Owners, Run
from tests.support.command_line import command, environment, run
from tests.support.terminal import at_a_terminal
from tests.unit.test_promises import report

pytestmark = [pytest.mark.server, pytest.mark.parametrize("server", ["embedded"], indirect=True)]

PROMPT = "same thing? y yes, n no, s skip, u undo, q end:"


@pytest.fixture
def filled(client: Client, owner_process: Owners) -> None:
    """A worker, and a collection of long reports of which each tells what one other tells."""
    owner_process().running()
    client.configure("tickets", {"target_precision": 0.9})
    positions = client.ingest_many(
        {"id": f"{number}-{copy}", "collection": "tickets", "text": report(number, copy)}
        for number in range(40)
        for copy in range(2)
    )
    client.outcome(positions[-1])


def answering(settings: Settings, lines: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command("calibrate", "tickets", *arguments),
        input=lines,
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


@pytest.mark.usefixtures("filled")
def test_a_band_opens_by_lines_on_standard_input(settings: Settings, client: Client, recommender: Run) -> None:
    before = recommender("stats").stdout
    assert "long prose in a stream: at least 22 more answers" in before
    done = answering(settings, "y\nx\nu\ns\nnot sure\n\n" + "y\nsame\n" * 15, "--by", "jo", "--json")
    found = json.loads(done.stdout)
    assert (found["ended"], found["skipped"], len(found["answers"])) == ("open", 1, 22)
    assert {one["answer"] for one in found["answers"]} == {"same"}
    assert (found["promise"]["measured"], found["promise"]["answers"], found["same"]) == (True, 22, 22)
    assert "press y, n, s, u or q" in done.stderr
    assert "0 of at least 22 answers; the band opens at about 0." in done.stderr
    assert "1 of at least 22 answers" in done.stderr
    said = json.loads(recommender("feedback", "export", "--collection", "tickets", "--json").stdout)
    assert [one["by"] for one in said] == ["jo"] * 22
    assert {frozenset((one["item_id"], one["other_id"])) for one in said} == {
        frozenset((one["item_id"], one["other_id"])) for one in found["answers"]
    }
    closed = json.loads(recommender("stats", "--json").stdout)["collections"]["tickets"]["not_measured"]
    assert [(one["view"], one["kind"]) for one in closed] == [("alone", "long_prose")]
    again = json.loads(answering(settings, "", "--json").stdout)
    assert (again["ended"], again["answers"], again["promise"]) == ("nothing_to_ask", [], None)
    wider = json.loads(answering(settings, "y\n" * 3, "--limit", "2", "--kind", "long_prose", "--json").stdout)
    assert (wider["ended"], len(wider["answers"]), wider["promise"]["answers"]) == ("limit", 2, 24)


@pytest.mark.usefixtures("filled")
def test_keys_at_a_terminal_and_another_day(settings: Settings, recommender: Run) -> None:
    shown = at_a_terminal(settings, PROMPT, "ynu\x04", "calibrate", "tickets", "--by", "jo")
    assert "(stated 0." in shown
    assert "\x1b[1;7m" in shown, "what differs is marked"
    assert "1 answer given, 1 of them the same thing" in shown
    assert "1 of at least 22 answers" in shown
    kept = json.loads(recommender("feedback", "export", "--collection", "tickets", "--json").stdout)
    assert [one["answer"] for one in kept] == ["same"]
    assert "2 of at least 22 answers" in at_a_terminal(settings, PROMPT, "yq", "calibrate", "tickets")
    plain = answering(settings, "q\n").stdout
    assert re.search(r"\[\w+", plain), "without colours it stands in brackets"


@pytest.mark.usefixtures("filled")
def test_pairs_are_answered_in_a_file(settings: Settings, recommender: Run, tmp_path: Path) -> None:
    table = tmp_path / "pairs.csv"
    told = recommender("calibrate", "tickets", "--limit", "25", "--export", str(table)).stdout
    assert "25 pairs written to" in told
    with table.open(encoding="utf-8", newline="") as file:
        rows: list[dict[str, Any]] = list(csv.DictReader(file))
    assert list(rows[0]) == ["item_id", "other_id", "answer", "probability", "text", "other_text"]
    answers = ["same"] * 10 + ["y"] * 12 + ["", "perhaps", "n"]
    for row, answer in zip(rows, answers, strict=True):
        row["answer"] = answer
    rows.append({**rows[0], "item_id": "nobody"})
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    taken = json.loads(recommender("calibrate", "tickets", "--import", str(table), "--json", status=3).stdout)
    assert (taken["accepted"], taken["unanswered"], taken["failed"]) == (23, 1, 2)
    assert [(one["row"], one["error"]) for one in taken["errors"]] == [
        (24, "answer: 'perhaps' is none of same, different (y, n)"),
        (26, "one of the two items is not there"),
    ]
    again = recommender("calibrate", "tickets", "--import", str(table), status=3).stdout
    assert "23 answers taken, 1 row without an answer, 2 failed" in again
    for typed, failed, error in (
        ("Other_ID;Item_ID;Answer\n{0};{1};JA\n", 0, None),
        ("item_id,other_id,answer\n{1},{0},y?\n", 1, "answer: 'y?' is none of same, different (y, n)"),
        ("item_id,other_id,answer\n{1},{0},s\n", 1, "answer: 's' is none of same, different (y, n)"),
    ):
        table.write_text(typed.format(rows[0]["other_id"], rows[0]["item_id"]), encoding="utf-8")
        status = 1 if failed else 0
        said = json.loads(recommender("calibrate", "tickets", "--import", str(table), "--json", status=status).stdout)
        assert (said["accepted"], said["failed"]) == (1 - failed, failed)
        assert [one["error"] for one in said["errors"]] == ([error] if error else [])
    table.write_text("item_id,other_id,same\n0-1,0-0,y\n", encoding="utf-8")
    missing = recommender("calibrate", "tickets", "--import", str(table), status=1)
    assert "has no column 'answer'; there are 'item_id', 'other_id', 'same'" in missing.stderr
    more = recommender("calibrate", "tickets", "--limit", "1000", "--export", str(table)).stdout
    assert "(no more than 200 at a time)" in more
    refused = recommender("calibrate", "tickets", "--import", str(table), "--export", "x.csv", status=2)
    assert "one at a time" in refused.stderr
    missing = recommender("calibrate", "none", status=1)
    assert "there is no collection 'none'" in missing.stderr


def test_a_file_for_a_collection_in_which_nothing_can_be_measured_sends_nothing(
    client: Client, owner_process: Owners, recommender: Run, tmp_path: Path
) -> None:
    owner_process().running()
    table = tmp_path / "pairs.csv"
    table.write_text("item_id,other_id,answer\n0-1,0-0,y\n", encoding="utf-8")
    client.outcome(client.configure("vectors", {"rule": "cosine"}))
    before = client.last_event()
    for name, told in (("vectors", "states no precision"), ("tickts", "there is no collection 'tickts'")):
        assert told in recommender("calibrate", name, "--import", str(table), status=1).stderr
    client.outcome(client.configure("vectors", {"rule": "cosine", "candidates": 9}))
    assert [event["type"] for event in client.events_so_far(before)] == ["recommender.collection.configured.v1"]


def test_without_a_worker_nothing_is_requested(client: Client, owner_process: Owners, settings: Settings) -> None:
    """The state alone could propose pairs, but nobody would take the answers; and no worker could open it meanwhile."""
    with owner_process() as owner:
        owner.running()
        client.outcome(client.ingest({"id": "a", "collection": "tickets", "text": "a text"}))
        assert owner.terminate() == 0
    done = run(settings, "calibrate", "tickets")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no worker is running" in done.stderr
    assert "start one with `recommender worker`" in done.stderr
