"""The web page over plain HTTP: a real server and a real worker behind it."""

from __future__ import annotations

import json
import os
import pwd
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from celery_recommender.broker.redis.connections import connect
from celery_recommender.client import Client
from celery_recommender.settings import Settings
from celery_recommender.web.security.users import Role, User, UsersFile, hashed
from recommender_engine.items import START
from tests.integration.conftest import Owners, Run
from tests.support.command_line import command, environment
from tests.support.pages import Browser, Elements, served
from tests.support.streams import REJECTED
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.server, pytest.mark.parametrize("server", ["embedded"], indirect=True)]

ACCEPTED = "recommender.feedback.accepted.v1"
EVIL = "<script>alert(1)</script>"
ITEMS = [
    {"id": "T1", "text": "The printer in room 12 is on fire since Monday, ticket 4711", "collection": "tickets"},
    {"id": "T2", "text": "The printer in room 14 is on fire since Monday, ticket 4711", "collection": "tickets"},
    {"id": "T3", "text": f"{EVIL} <b>My password</b> is not accepted since the update", "collection": "tickets"},
    {"id": "P 1/ü", "text": "Mug with a view of the sea", "collection": "products"},
]


@pytest.fixture
def address(settings: Settings) -> Iterator[str]:
    with served(settings) as started:
        yield started


@pytest.fixture
def browser(address: str) -> Iterator[Browser]:
    with Browser(address) as opened:
        yield opened


def sent(client: Client, *items: dict[str, str]) -> None:
    for item in items or ITEMS:
        client.outcome(client.ingest(item))


def test_pages_show_what_the_worker_holds(
    owner_process: Owners, client: Client, browser: Browser, recommender: Run
) -> None:
    owner_process().running()
    sent(client)
    assert {"products", "tickets"} == set(re.findall(r'value="(\w+)"', browser.page("/names")))
    parts = browser.page("/overview")
    assert {"tickets", "products"} <= set(Elements(parts).texts("a"))

    hits = Elements(browser.page("/search", q="printer on fire", collection="tickets"))
    shown = [attributes["data-id"] for tag, attributes, _ in hits.found if tag == "li" and "data-id" in attributes]
    asked = recommender("search", "printer on fire", "--collection", "tickets", "--limit", "20", "--json").stdout
    assert shown == [hit["id"] for hit in json.loads(asked)]

    view = client.ask("recommender.get", "T2", collection="tickets")
    page = Elements(browser.page("/item", id="T2", collection="tickets"))
    spans = {name: [] for name in ("here_at", "there_at")}
    for reason in view["reasons"]:
        for side, text in (("here_at", ITEMS[1]["text"]), ("there_at", ITEMS[0]["text"])):
            spans[side] += [text[start:end] for start, end in reason["detail"].get(side, ())]
    marked = page.texts("mark")
    assert spans["here_at"]
    assert all(any(span in found or found in span for found in marked) for side in spans.values() for span in side)
    assert all(
        any(found in text for text in (ITEMS[0]["text"], ITEMS[1]["text"], "both say this", "here they differ"))
        for found in marked
    )

    page_of_evil = browser.page("/item", id="T3", collection="tickets")
    assert EVIL not in page_of_evil
    assert "Mug with a view" in browser.page("/item", id="P 1/ü", collection="products")
    assert "no such item" in browser.page("/item", 404, id="nothing", collection="tickets")
    verdict = browser.give("/compare", one=ITEMS[0]["text"], other=ITEMS[0]["text"], collection="tickets")
    assert "duplicate" in Elements(verdict).texts("span", "band")


def test_an_answer_has_its_author_holds_once_and_can_be_taken_back(
    owner_process: Owners, client: Client, browser: Browser
) -> None:
    owner_process().running()
    sent(client)
    about = {"collection": "tickets", "one": "T2", "other": "T1"}
    for _ in range(2):  # pressed twice
        browser.give("/answer", answer="same", key="a" * 32, **about)
    assert client.ask("recommender.get", "T2", collection="tickets")["duplicate_of"] == "T1"
    browser.give("/answer", answer="same", key="b" * 32, collection="tickets", one="T3", other="T2")

    told = browser.give("/answer", 409, answer="different", key="c" * 32, collection="tickets", one="T3", other="T1")
    assert "contradicts" in told
    offered = [attributes["value"] for _, attributes, _ in Elements(told).found if attributes.get("name") == "one"]
    assert offered == ["T3", "T2"], "each answer of the chain can be taken back"

    me = pwd.getpwuid(os.geteuid()).pw_name
    assert Elements(browser.page("/answers", collection="tickets")).texts("td").count(me) == 2
    browser.give("/answer", answer="unsure", key="d" * 32, back="answers", **about)
    left = client.ask("recommender.answers", collection="tickets")
    assert [(one["item_id"], one["other_id"]) for one in left] == [("T2", "T3")]
    given = [event["data"] for event in client.events_so_far(START) if event["type"] == ACCEPTED]
    assert [(one["item_id"], one["answer"]) for one in given] == [("T2", "same"), ("T3", "same"), ("T2", "unsure")]
    assert {one["by"] for one in given} == {me}


def test_the_feed_has_an_event_soon_and_only_what_its_user_may_see(
    owner_process: Owners, client: Client, settings: Settings, tmp_path: Path
) -> None:
    owner_process().running()
    users = tmp_path / "users.json"
    UsersFile(users).put("jo", User(password=hashed("correct horse"), role=Role.LOOK, collections=("tickets",)))
    with served(settings.replaced(web_users=users)) as address, Browser(address) as browser:
        browser.log_in("jo", "correct horse")
        with browser.stream("GET", "/feed/stream") as stream:
            lines = stream.iter_lines()
            assert next(lines) == ": alive"
            client.outcome(client.ingest(ITEMS[3]))
            client.outcome(client.ingest(ITEMS[0]))
            rows: list[str] = []
            for line in lines:
                if line.startswith("data: "):
                    rows += json.loads(line.removeprefix("data: "))["rows"]
                if rows:
                    break
            assert ["T1" in row for row in rows] == [True] * len(rows), "the product is not the user's to see"
            UsersFile(users).remove("jo")
            assert [line for line in lines if line.startswith("data: ")] == [], "it ends for a removed user"


def test_users_see_and_do_what_their_role_says(
    owner_process: Owners, client: Client, settings: Settings, tmp_path: Path
) -> None:
    owner_process().running()
    sent(client)
    users = UsersFile(tmp_path / "users.json")
    users.put("look", User(password=hashed("correct horse"), role=Role.LOOK, collections=("tickets",)))
    users.put("answer", User(password=hashed("correct horse"), role=Role.ANSWER))
    with served(settings.replaced(web_users=users.path)) as address:
        about = {"collection": "tickets", "one": "T2", "other": "T1", "answer": "same", "key": "a" * 32}
        with Browser(address) as browser:
            assert "password" in browser.page("/", id="T2")
            assert browser.log_in("look", "wrong horse").status_code == 401
            assert browser.log_in("look", "correct horse").status_code == 200
            item = browser.page("/item", id="T2", collection="tickets")
            assert 'action="/answer"' not in item
            assert "products" not in browser.page("/overview")
            assert "do not have access" in browser.page("/item", 403, id="P 1/ü", collection="products")
            assert "do not have access" in browser.page("/answers", 403, collection="products")
            assert "does not permit" in browser.give("/answer", 403, **about)
            assert "does not permit" in browser.give("/letter/drop", 403, partition="default", id="1-1")
            token = browser.cookies["recommender_session"]
            browser.give("/logout")
            with Browser(address, cookies={"recommender_session": token}) as thief:
                assert "password" in thief.page("/item", id="T2", collection="tickets"), "the session has ended"
        with Browser(address) as browser:
            browser.log_in("answer", "correct horse")
            browser.give("/answer", **about)
            assert ">answer<" in browser.page("/answers", collection="tickets")
            users.put("answer", User(password=hashed("another horse"), role=Role.ANSWER))
            assert "password" in browser.page("/answers", collection="tickets"), "another password ends sessions"
            browser.log_in("answer", "another horse")
            assert ">answer<" in browser.page("/answers", collection="tickets")
            users.remove("answer")
            assert "password" in browser.page("/answers", collection="tickets"), "a removed user is out at once"
        with Browser(address) as browser:
            statuses = {browser.log_in("look", "wrong horse").status_code for _ in range(11)}
            assert statuses == {401, 429}
    with connect(settings.redis_url) as redis:
        keys = redis.keys(f"{client.keys.web}*")
        assert keys
        assert all(redis.ttl(key) > 0 for key in keys), "everything has an end"


def test_dead_letters_are_shown_sent_again_and_dropped(owner_process: Owners, client: Client, browser: Browser) -> None:
    owner = owner_process().running()
    for number in range(3):
        client.outcome(client.send("item.upsert", {"id": f"T{number}", "text": EVIL, "wrong": number}))
    seeded = wait_until(lambda: letters(client) if len(letters(client)) == 3 else None, "the dead letters")
    page = browser.page("/letters")
    assert [f">{id_}<" in page for id_ in seeded] == [True] * 3
    first, second, third = seeded
    shown = browser.page("/letter", partition="default", id=first)
    assert "unknown_field" in shown
    assert EVIL not in shown
    browser.give("/letter/drop", partition="default", id=first)
    browser.give("/letter/replay", partition="default", id=second)
    rejected = [event for event in client.events_so_far(START) if event["type"] == REJECTED]
    again = wait_until(lambda: [id_ for id_ in letters(client) if id_ not in seeded], "the replayed letter to return")
    assert len(rejected) >= 3
    assert set(letters(client)) == {third, *again}
    assert "no such letter" in browser.page("/letter", 404, partition="default", id=first)
    assert owner.status() is not None


def letters(client: Client) -> list[str]:
    return [id_.decode() for id_, _ in client.redis.xrange(client.keys.dead_letters)]


def test_an_answer_is_kept_while_no_worker_runs(owner_process: Owners, client: Client, browser: Browser) -> None:
    owner = owner_process().running()
    sent(client)
    owner.kill()
    wait_until(lambda: "not responding" in browser.page("/status"), "the page to say so", 5)
    browser.post(
        "/answer",
        data={
            "csrf": token(browser),
            "answer": "same",
            "collection": "tickets",
            "one": "T2",
            "other": "T1",
            "key": "a" * 32,
        },
    )
    client.redis.delete(client.keys.status)  # as it expires fifteen seconds after a kill
    assert "no worker" in browser.page("/status")
    assert "No worker is running" in browser.page("/item", 503, id="T2", collection="tickets")
    owner_process("next").running()
    assert client.ask("recommender.get", "T2", collection="tickets")["duplicate_of"] == "T1"
    given = [event for event in client.events_so_far(START) if event["type"] == ACCEPTED]
    assert len(given) == 1


def token(browser: Browser) -> str:
    return browser.page("/feed").partition('X-CSRF-Token": "')[2][:64]


def test_the_command_serves_and_refuses(settings: Settings, recommender_process: Run, tmp_path: Path) -> None:
    refused = recommender_process("web", "--host", "0.0.0.0", status=os.EX_CONFIG)
    assert "RECOMMENDER_WEB_USERS" in refused.stderr
    users = settings.replaced(web_users=tmp_path / "users.json")
    add = command("web", "user", "add", "jo", "--role", "look", "--collection", "tickets", "--password-stdin")
    done = subprocess.run(add, env=environment(users), input="correct horse\n", capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"jo may look ({users.web_users})\n")
    log = tmp_path / "web.log"
    with log.open("w") as output:
        serve = command("web", "--host", "0.0.0.0", "--port", "0")
        process = subprocess.Popen(serve, env=environment(users), stderr=output)
    try:
        found = wait_until(lambda: log.read_text().partition("address=")[2].split(), "the page to listen", 60)
        port = found[0].rstrip("/").rpartition(":")[2]
        page = wait_until(lambda: reached(f"http://127.0.0.1:{port}/login"), "the page to answer")
        assert "Password" in page
    finally:
        process.terminate()
        assert process.wait(20) == 0


def reached(address: str) -> str:
    try:
        return httpx.get(address).text
    except httpx.TransportError:
        return ""
