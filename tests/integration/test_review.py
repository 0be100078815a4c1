"""A person lists items, looks at groups, and answers the review queue by a key each, over a real worker."""

from __future__ import annotations

import json
import re

import pytest

from celery_recommender.client import Client
from celery_recommender.settings import Settings
from recommender_engine.errors import InvalidCommand
from tests.integration.conftest import Owners, Run
from tests.support.terminal import at_a_terminal
from tests.unit.test_promises import report

pytestmark = [pytest.mark.server, pytest.mark.parametrize("server", ["embedded"], indirect=True)]

PROMPT = "s same, d different, u unsure, k skip, z undo, q end:"
TICKETS = ("--collection", "tickets")


@pytest.fixture
def filled(client: Client, owner_process: Owners) -> None:
    """A worker, and a collection of long reports of which each tells what one other tells."""
    owner_process().running()
    client.configure("tickets", {"target_precision": 0.9})
    positions = client.ingest_many(
        {"id": f"{number}-{copy}", "collection": "tickets", "text": report(number, copy)}
        for number in range(12)
        for copy in range(2)
    )
    client.outcome(positions[-1])


@pytest.mark.usefixtures("filled")
def test_commands_show_what_is_compared(recommender: Run, client: Client) -> None:
    sent = [
        {"id": f"h{copy}", "collection": "html", "text": f"<p>{report(1, copy)}</p><p style='color:#888'>Best, Jo</p>"}
        for copy in range(2)
    ]
    client.configure("html", {"review_from": 0.01})
    client.outcome(client.ingest_many(sent)[-1])
    pairs = json.loads(recommender("review", "--collection", "html", "--json").stdout)["pairs"]
    assert [pair["item"]["id"] for pair in pairs] == ["h1"]
    for command in (
        ("review", "--list"),
        ("list",),
        ("group", "h1"),
        ("search", report(1, 1)),
        ("recommend", "--item", "h0"),
    ):
        shown = recommender(*command, "--collection", "html").stdout
        assert "h1" in shown, command
        assert "<p" not in shown, command


@pytest.mark.usefixtures("filled")
def test_lists_and_groups_are_read_in_pages(recommender: Run, client: Client) -> None:
    whole = client.list_items("tickets", limit=200)
    assert whole is not None
    assert [item["id"] for item in whole["items"]] == [f"{n}-{copy}" for n in range(11, -1, -1) for copy in (1, 0)]
    first = json.loads(recommender("list", *TICKETS, "--limit", "5", "--json").stdout)
    assert first["items"] == whole["items"][:5]
    second = json.loads(recommender("list", *TICKETS, "--limit", "5", "--after", first["next"], "--json").stdout)
    assert second["items"] == whole["items"][5:10]
    shown = recommender("list", *TICKETS, "--band", "review", "--order", "probability", "--limit", "2").stdout
    assert re.search(r"review +0\.\d\d", shown)
    assert "more: the same command with --after" in shown
    assert "--after" not in recommender("list", *TICKETS, "--ascending").stdout
    client.outcome(client.feedback("3-1", "same", "3-0", collection="tickets", by="jo"))
    group = client.group("tickets", "3-1")
    assert group is not None
    assert (group["size"], group["canonical"], group["next"]) == (2, "3-0", None)
    assert [(one["id"], one["band"]) for one in group["members"]] == [
        ("3-0", group["members"][0]["band"]),
        ("3-1", "duplicate"),
    ]
    assert json.loads(recommender("group", "3-1", *TICKETS, "--json").stdout) == group
    assert "2 items, canonical 3-0" in recommender("group", "3-0", *TICKETS).stdout
    assert "no item 'x'" in recommender("group", "x", *TICKETS, status=1).stderr
    assert "no collection 'x'" in recommender("list", "--collection", "x", status=1).stderr
    with pytest.raises(InvalidCommand, match="after must be the next of a page"):
        client.list_items("tickets", after="x")
    assert "after must be the next" in recommender("review", *TICKETS, "--after", "x", status=1).stderr
    (counted,) = client.overview()["collections"]
    assert (counted["name"], counted["partition"], counted["items"], counted["answers"]) == (
        "tickets",
        "default",
        24,
        1,
    )
    assert (counted["groups"], sum(counted["bands"].values())) == (1, 24)
    assert sum(counted["rates"]["hours"][-1]["bands"].values()) + (len(counted["rates"]["hours"]) > 1) * 24 >= 24
    page = client.answers("tickets")
    assert [(one["item_id"], one["by"]) for one in page["answers"]] == [("3-0", "jo")]
    assert client.answers() == page
    assert client.ask("recommender.answers", collection="tickets")[0]["by"] == "jo", "a list without a limit"


@pytest.mark.usefixtures("filled")
def test_the_queue_is_answered_by_keys(settings: Settings, recommender: Run, client: Client) -> None:
    listed = json.loads(recommender("review", *TICKETS, "--json").stdout)
    assert listed == client.review("tickets")
    assert listed["pairs"]
    ids = [(pair["item"]["id"], pair["other"]["id"]) for pair in listed["pairs"]]
    assert ids[0][0] in recommender("review", *TICKETS).stdout, "off a terminal it lists"
    shown = at_a_terminal(settings, PROMPT, "skzsduq", "review", *TICKETS, "--by", "jo")
    assert shown.count(f"{ids[0][0]} (") == 2, "shown again after the undo"
    assert "2 answers given, 1 of them the same thing" in shown
    said = {(one["item_id"], one["other_id"]): one for one in client.answers("tickets")["answers"]}
    assert {pair: (one["answer"], one["by"]) for pair, one in said.items()} == {
        tuple(sorted(ids[0])): ("same", "jo"),
        tuple(sorted(ids[2])): ("different", "jo"),
    }
    left = {(pair["item"]["id"], pair["other"]["id"]) for pair in client.review("tickets")["pairs"]}
    assert left.isdisjoint({ids[0], ids[2]})
    assert ids[1] in left
