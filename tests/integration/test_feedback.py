"""What people say of verdicts, and settings: as stream commands, as Celery tasks, and on the command line."""

from __future__ import annotations

import json
import multiprocessing
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from celery_recommender.celery.tasks.commands import CommandRefused
from celery_recommender.celery.worker.app import make_app
from celery_recommender.client import Client
from celery_recommender.settings import Settings
from recommender_engine.items import EntryId
from tests.integration.conftest import Owners, Run
from tests.support.encoders import FixedEncoders
from tests.support.streams import PROCESSED

pytestmark = [pytest.mark.server, pytest.mark.parametrize("server", ["embedded"], indirect=True)]

ACCEPTED = "recommender.feedback.accepted.v1"
REVISED = "recommender.item.revised.v1"
GROUP = "recommender.group.changed.v1"

TEXTS = {
    "T1": "The export button gives an empty file",
    "T2": "the export  button gives an EMPTY file",
    "T3": "My password is not accepted since the update",
    "T4": "The printer in room twelve is on fire",
}
PROCESSES, TWINS = 8, 25


def ingested(client: Client) -> None:
    """Four tickets, of which the second repeats the first."""
    positions = client.ingest_many(
        {"id": id_, "collection": "tickets", "text": text, "attributes": {"requester": place % 2}}
        for place, (id_, text) in enumerate(TEXTS.items())
    )
    client.outcome(positions[-1])


def test_an_answer_by_stream_task_and_command_line(
    client: Client, settings: Settings, owner_process: Owners, recommender: Run
) -> None:
    owner_process().running()
    ingested(client)
    after = client.last_event()

    accepted = client.outcome(client.feedback("T3", "same", "T1", collection="tickets", by="jo"))
    assert accepted["type"] == ACCEPTED
    assert accepted["data"]["answers"] == 1

    app, _ = make_app(settings, FixedEncoders())
    task = app.tasks["recommender.feedback"]
    outcome = task.delay({"id": "T4", "other": "T3", "collection": "tickets", "answer": "different"}).get(timeout=20)
    assert (outcome["type"], outcome["item_id"], outcome["answers"]) == (ACCEPTED, "T4", 2)
    with pytest.raises(CommandRefused, match=r"^contradiction: .*'T4' ≠ 'T3' = 'T1'"):
        task.delay({"id": "T4", "other": "T1", "collection": "tickets", "answer": "same"}).get(timeout=20)
    app.close()

    refused = recommender("feedback", "same", "T4", "T1", "--collection", "tickets", status=1)
    assert "rejected: answer: people said before that 'T4' ≠ 'T3' = 'T1'" in refused.stdout
    unknown = recommender("feedback", "same", "T4", "nobody", "--collection", "tickets", status=1)
    assert "no item 'nobody' in collection 'tickets'" in unknown.stdout
    corrected = recommender("feedback", "wrong", "T2", "--collection", "tickets", "--by", "jo").stdout.splitlines()
    assert corrected[0].startswith("feedback   T2 and T1 are different, says jo")
    assert any(line.startswith("group ") and "split off" in line for line in corrected)
    assert any("T2" in line and "(revised, was duplicate of T1; an answer was given)" in line for line in corrected)

    changed = list(client.events_so_far(after))
    assert {event["type"] for event in changed} >= {ACCEPTED, GROUP, REVISED}
    revised = {event["data"]["item_id"]: event["data"] for event in changed if event["type"] == REVISED}
    assert revised["T3"]["duplicate_of"] == "T1"
    assert revised["T2"]["duplicate_of"] is None

    exported = recommender("feedback", "export", "--collection", "tickets").stdout.splitlines()
    assert [line.split(",")[:4] for line in exported] == [
        ["item_id", "other_id", "answer", "by"],
        ["T1", "T3", "same", "jo"],
        ["T3", "T4", "different", ""],
        ["T1", "T2", "different", "jo"],
    ]


def test_a_policy_is_tried_then_switched(
    client: Client, owner_process: Owners, recommender: Run, tmp_path: Path
) -> None:
    owner_process().running()
    ingested(client)
    policy = tmp_path / "policy.toml"
    policy.write_text('[tickets]\ntarget_precision = 0.9\nequal = ["requester"]\n[tickets.only]\nrequester = [0, 1]\n')

    before = client.last_event()
    found = json.loads(recommender("tune", "tickets", "--file", str(policy), "--json").stdout)
    assert (found["items"], found["flags_gained"], found["flags_lost"]) == (4, 0, 1)
    (change,) = found["changes"]
    assert (change["id"], change["now"]["duplicate_of"], change["then"]["duplicate_of"]) == ("T2", "T1", None)
    told = recommender("tune", "tickets", "equal=requester").stdout
    assert "1 of 4 items would get another verdict: 0 flags gained, 1 lost" in told
    assert client.last_event() == before, "nothing was switched"

    shown = recommender("configure", "--file", str(policy)).stdout
    assert 'equal = ["requester"]' in shown
    twin = {"id": "T5", "collection": "tickets", "text": TEXTS["T3"], "attributes": {"requester": 1}}
    assert client.outcome(client.ingest(twin))["data"]["duplicate_of"] is None
    policy.write_text("[tickets]\ncolour = 1\n")
    refused = recommender("configure", "--file", str(policy), status=1)
    assert "colour" in refused.stderr
    assert "the settings are model, index" in refused.stderr

    target = tmp_path / "out.jsonl"
    assert json.loads(recommender("export", "tickets", str(target), "--vectors", "--json").stdout)["rows"] == 5
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert [row["id"] for row in rows] == ["T1", "T2", "T3", "T4", "T5"]
    assert rows[1]["duplicate_of"] == "T1", "what was decided before stays"
    assert len(rows[0]["vector"]) == 64


def test_twins_published_at_one_moment_by_many_processes(
    client: Client, settings: Settings, owner_process: Owners
) -> None:
    """Whoever comes first is the original, whatever the batches are: one canonical item for each text."""
    owner_process().running()
    after = client.last_event()
    context = multiprocessing.get_context("fork")
    together = context.Barrier(PROCESSES)
    producers = [context.Process(target=publish, args=(settings, name, together)) for name in range(PROCESSES)]
    for producer in producers:
        producer.start()
    for producer in producers:
        producer.join(60)
        assert producer.exitcode == 0
    decided = verdicts(client, after, PROCESSES * TWINS)
    assert len(decided) == PROCESSES * TWINS
    originals = Counter(text_of(id_) for id_, data in decided.items() if data["duplicate_of"] is None)
    assert originals == dict.fromkeys(range(TWINS), 1)
    for id_, data in decided.items():
        assert text_of(data["canonical_id"]) == text_of(id_)
        assert decided[data["canonical_id"]]["duplicate_of"] is None
        assert data["duplicate_of"] in (None, data["canonical_id"])


def publish(settings: Settings, name: int, together: Any) -> None:
    """In a process of its own: every text once, one command each, all processes at the same moment."""
    client = Client(settings)
    client.log.length()
    together.wait(60)
    for twin in range(TWINS):
        client.ingest({"id": f"{name} {twin}", "text": f"{WORDS[twin]} does not work in room {100 + twin}"})
    client.close()


WORDS = [f"{thing} {part}" for thing in ("printer", "lamp", "door", "phone", "lift") for part in "ABCDE"]


def text_of(id_: str) -> int:
    return int(id_.split()[1])


def verdicts(client: Client, after: EntryId, count: int) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for event in client.events(after):
        if event["type"] == PROCESSED:
            found[event["data"]["item_id"]] = event["data"]
        if len(found) == count:
            break
    return found
