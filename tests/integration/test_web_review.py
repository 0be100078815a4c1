"""The review queue over plain HTTP: claims, late answers, undo, contradictions, a worker that is killed."""

from __future__ import annotations

import os
import pwd
import re
import signal
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from celery_recommender.broker.coordination.status import read_status
from celery_recommender.client import Client
from celery_recommender.settings import Settings
from celery_recommender.web.service.claims import Claims, Given, Pair
from celery_recommender.web.service.review import Reviewer as Person
from celery_recommender.web.service.review import ReviewService
from recommender_engine.items import START
from tests.integration.conftest import Owners
from tests.support.pages import Browser, Elements, served
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.server, pytest.mark.parametrize("server", ["embedded"], indirect=True)]

ACCEPTED = "recommender.feedback.accepted.v1"
PLACES = ("lobby", "cellar", "attic", "kitchen", "garage", "office")


@pytest.fixture
def address(settings: Settings) -> Iterator[str]:
    with served(settings) as started:
        yield started


@pytest.fixture
def queued(owner_process: Owners, client: Client) -> list[tuple[str, str]]:
    """Pairs that wait for a person."""
    owner_process().running()
    client.outcome(client.configure("tickets", {"review_from": 0.01, "review_budget": None}))
    for number, place in enumerate(PLACES):
        for side, words in (("A", "does not start since"), ("B", "will not start after")):
            text = f"<p>The {place} lamp {words} the power cut of week {number + 20}, fuse F{number}77 is fine</p>"
            client.outcome(client.ingest({"id": f"{place}-{side}", "text": text, "collection": "tickets"}))
    page = wait_until(lambda: client.review("tickets", limit=100), "the queue")
    pairs = [(one["item"]["id"], one["other"]["id"]) for one in page["pairs"]]
    assert len(pairs) >= 3, "the texts are to be reviewed"
    return pairs


class Reviewer(Browser):
    """A browser on the queue."""

    def card(self) -> dict[str, str]:
        """The fields of the form that answers the pair."""
        return fields(self.page("/review/card", collection="tickets"))

    def press(self, card: dict[str, str], answer: str) -> dict[str, str]:
        """Answer; the next card."""
        return fields(self.answered(card, answer))

    def answered(self, card: dict[str, str], answer: str) -> str:
        return self.give("/review/answer", **{**card, "answer": answer})


def fields(page: str) -> dict[str, str]:
    """Hidden fields of the form that answers; none on a card without a pair."""
    form = re.search(r'hx-post="/review/answer".*?</form>', page, re.DOTALL)
    found = Elements(form[0]).found if form else []
    return {
        str(given["name"]): str(given["value"])
        for tag, given, _ in found
        if tag == "input" and given.get("type") == "hidden"
    }


def named(card: dict[str, str]) -> tuple[str, str]:
    return card["one"], card["other"]


def accepted(client: Client) -> list[dict[str, Any]]:
    return [event["data"] for event in client.events_so_far(START) if event["type"] == ACCEPTED]


def test_two_reviewers_never_get_the_same_pair_and_a_late_answer_is_told(
    queued: list[tuple[str, str]], client: Client, address: str
) -> None:
    with Reviewer(address) as ann, Reviewer(address) as jo:
        first, second = ann.card(), jo.card()
        assert named(first) == queued[0], "the queue's order"
        assert named(second) == queued[1]
        assert ann.get("/review/held", params=dict(first)).status_code == 204

        claims = Claims(client.redis, client.keys.web)
        claims.free(Pair("tickets", *named(first)))  # as after its end
        assert ann.get("/review/held", params=dict(first)).status_code == 204, "nobody else has it"
        taken = jo.press(second, "skip")
        assert named(taken) == queued[0]
        gone = ann.page("/review/held", **first)
        assert "has it now" in gone
        assert named(fields(gone)) == queued[1], "what the other one has skipped is free"
        late = ann.answered(first, "different")
        assert "has it now" in late
        jo.press(taken, "same")
        assert "answered by" in ann.answered(first, "different")
        assert [(one["item_id"], one["answer"]) for one in accepted(client)] == [(queued[0][0], "same")]


def test_every_answer_counts_once_has_its_author_and_can_be_undone(
    queued: list[tuple[str, str]], client: Client, address: str
) -> None:
    with Reviewer(address) as ann:
        card = ann.card()
        one, other = named(card)
        groups = groups_of(client, one, other)
        following = ann.press(card, "same")
        assert named(following) != (one, other)
        assert len(set(groups_of(client, one, other))) == 1
        assert ann.get("/review/held", params=dict(card)).status_code == 204, "what is answered here does not leave"
        again = ann.answered(card, "same")  # pressed twice
        assert named(fields(again)) == named(following)
        assert "alert" not in again
        back = fields(ann.give("/review/undo", collection="tickets"))
        assert named(back) == (one, other), "the pair comes back"
        assert groups_of(client, one, other) == groups
        ann.press(back, "different")
        ann.press(ann.card(), "unsure")
        given = accepted(client)
        assert [one["answer"] for one in given] == ["same", "unsure", "different", "unsure", "different", "unsure"]
        assert {one["by"] for one in given} == {pwd.getpwuid(os.geteuid()).pw_name}
        seen: Counter[tuple[str, str]] = Counter()
        for _ in queued:
            card = ann.card()
            if not card:
                break
            seen[named(card)] += 1
            ann.press(card, "skip")
        assert max(seen.values()) == 1, "what was answered or skipped does not come again"
        assert "Nothing to review" in ann.page("/review/card", collection="tickets")


def groups_of(client: Client, *ids: str) -> list[str]:
    return [view["group"] for view in client.ask("recommender.get", list(ids), collection="tickets")]


def test_a_contradiction_shows_its_chain_and_the_way_to_take_it_back(
    queued: list[tuple[str, str]], client: Client, address: str
) -> None:
    with Reviewer(address) as ann:
        card = ann.card()
        one, other = named(card)
        third = next(id_ for pair in queued[1:] for id_ in pair if id_ not in (one, other))
        for pair, answer in (((one, third), "same"), ((third, other), "different")):
            client.outcome(client.feedback(pair[0], answer, pair[1], collection="tickets"))
        told = ann.answered(card, "same")
        assert "contradicts" in told
        assert third in told
        links = Elements(told).texts("a")
        assert links == [one, third, third, other]
        assert named(ann.card()) != (one, other)
        assert len(accepted(client)) == 2


def test_an_answer_given_while_the_worker_is_dead_is_decided_once(
    queued: list[tuple[str, str]], client: Client, address: str, owner_process: Owners
) -> None:
    with Reviewer(address) as ann:
        card = ann.card()
        status = read_status(client.redis, client.keys)
        assert status is not None
        os.kill(status["pid"], signal.SIGKILL)
        wait_until(lambda: "not responding" in ann.page("/status"), "the page to say so", 6)
        told = ann.answered(card, "same")
        assert "Answers that were given are kept" in told
        assert 'hx-trigger="every 2s"' in told, "it goes on by itself"
        owner_process("next").running()
        following = wait_until(ann.card, "the next pair")
        assert named(following) != named(card)
        assert [(one["item_id"], one["answer"]) for one in accepted(client)] == [(card["one"], "same")]


def test_items_are_listed_and_groups_are_split_and_merged(
    queued: list[tuple[str, str]], client: Client, address: str
) -> None:
    with Reviewer(address) as ann:
        counted = client.overview()["collections"][0]
        figures = Elements(ann.page("/overview")).found
        shown = {str(given["data-band"]): int(text) for _, given, text in figures if "data-band" in given}
        assert shown == counted["bands"]
        listed = Elements(ann.page("/items", collection="tickets", band="review", order="probability")).found
        ids = [given["data-id"] for _, given, _ in listed if "data-id" in given]
        asked = client.list_items("tickets", ["review"], "probability")
        assert asked is not None
        assert ids == [item["id"] for item in asked["items"]]

        one, other = queued[0]
        token = {"collection": "tickets", "back": "group"}
        ann.give("/answer", answer="same", one=one, other=other, key="a" * 32, **token)
        members = Elements(ann.page("/group", collection="tickets", id=one)).found
        assert {given["data-id"] for _, given, _ in members if "data-id" in given} >= {one, other}
        told = ann.give("/answer", 409, answer="different", one=one, other=other, key="b" * 32, **token)
        assert Elements(told).texts("button") == ["Take back"]
        ann.give("/answer", answer="unsure", one=one, other=other, key="c" * 32, **token)
        ann.give("/answer", answer="different", one=one, other=other, key="d" * 32, **token)
        assert len(set(groups_of(client, one, other))) == 2
        assert "no such item" in ann.page("/group", 404, collection="tickets", id="nobody")


def test_an_undo_that_failed_is_tried_again_and_stays_in_the_collections_that_are_seen(client: Client) -> None:
    class Service:
        def __init__(self) -> None:
            self.sent: list[tuple[str, str]] = []
            self.fails_at = 1

        def answer(self, one: str, answer: str, other: str, collection: str, by: str, key: str) -> None:
            self.fails_at -= 1
            if self.fails_at == -1:
                raise RedisConnectionError
            self.sent.append((answer, key))

        def items(self, ids: list[str], collection: str) -> dict[str, Any]:
            return {}

    service, claims = Service(), Claims(client.redis, client.keys.web)
    queue, ann = ReviewService(service, claims), Person("browser", "ann")  # type: ignore[arg-type]
    for number in range(2):
        claims.remember(Given(Pair("c", str(number), "x"), "same", apart=True), "browser")
    with pytest.raises(RedisConnectionError):
        queue.undo(ann, lambda _: True)
    assert claims.count_given("browser") == 2, "it can be taken back still"
    queue.undo(ann, lambda _: True)
    answers, keys = zip(*service.sent, strict=True)
    assert answers == ("unsure", "unsure", "different", "unsure")
    assert len({*keys}) == 3, "the step that was sent twice has one effect"
    assert claims.count_given("browser") == 1
    assert queue.undo(ann, lambda name: name != "c") is None
    assert (len(service.sent), claims.count_given("browser")) == (4, 0), "what may not be seen is left alone"


def token_of(preview: str) -> str:
    found = re.search(r'name="token" value="(\w+)"', preview)
    assert found is not None
    return found[1]


def test_many_pairs_are_answered_after_a_preview_and_taken_back_together(
    queued: list[tuple[str, str]], client: Client, address: str
) -> None:
    everything = {"collection": "tickets", "percent": "1"}
    with Reviewer(address) as ann, Reviewer(address) as jo:
        taken = named(jo.card())
        assert "Same” joins a group of 1 with the group of 1" in ann.page("/review/card", collection="tickets")
        ann.press(ann.card(), "skip")
        assert "No pair is waiting at 100" in ann.page("/review/bulk", collection="tickets", percent="100")
        preview = ann.page("/review/bulk", **everything)
        shown = [pair for pair in queued if f">{pair[0]}<" in preview]
        assert set(shown) == set(queued) - {taken}, "what another person has is left out"
        assert " lamp does not start since" in preview
        assert "&lt;p&gt;" not in preview, "what is compared, as on a card"
        token = token_of(preview)
        before = groups_of(client, *sum(queued, ()))
        assert accepted(client) == [], "a preview answers nothing"
        for _ in range(2):  # pressed twice
            done = ann.give("/review/bulk", token=token)
            assert f"Answers given: {len(shown)}" in done
        given = accepted(client)
        assert sorted((one["item_id"], one["other_id"]) for one in given) == sorted(shown)
        assert {(one["answer"], one["by"]) for one in given} == {("same", pwd.getpwuid(os.geteuid()).pw_name)}
        assert all(len(set(groups_of(client, *pair))) == 1 for pair in shown)
        assert "has ended" in jo.give("/review/bulk", 409, token=token), "another browser's preview"
        assert "has ended" in ann.give("/review/bulk", 409, token="0" * 32)

        back = {"token": token, "collection": "tickets"}
        assert "Preview" in ann.give("/review/bulk/back", **back)
        assert groups_of(client, *sum(queued, ())) == before
        assert client.ask("recommender.answers", collection="tickets") == []
        assert "has ended" in ann.give("/review/bulk/back", 409, **back)


def test_answers_in_bulk_that_contradict_are_counted(
    queued: list[tuple[str, str]], client: Client, address: str
) -> None:
    with Reviewer(address) as ann:
        token = token_of(ann.page("/review/bulk", collection="tickets", percent="1"))
        one, other = queued[0]
        client.outcome(client.feedback(one, "different", other, collection="tickets"))
        gone, _ = queued[1]
        client.outcome(client.delete(gone, "tickets"))
        done = ann.give("/review/bulk", token=token)
        assert f"Answers given: {len(queued)}" in done
        assert "an item is gone: 2" in done
        assert client.ask("recommender.get", one, collection="tickets")["duplicate_of"] is None


def test_what_the_page_keeps_is_bounded_and_has_an_end(client: Client, owner_process: Owners) -> None:
    claims = Claims(client.redis, client.keys.web)
    pairs = [Pair("c", str(number), f"{number}'") for number in range(2200)]
    for pair in pairs:
        claims.skip(pair, "browser")
    assert len(claims.skipped("browser")) == 2000
    for pair in pairs[:150]:
        claims.remember(Given(pair, "same", apart=True), "browser")
    assert claims.count_given("browser") == 100
    kept = claims.last_given("browser")
    assert kept is not None
    assert kept.given == Given(pairs[149], "same", apart=True)
    assert claims.claim(pairs[0], "browser", "ann")
    assert claims.claim(pairs[0], "browser", "ann"), "again by the same browser"
    assert not claims.claim(Pair("c", "0'", "0"), "other", "jo"), "the order of the two does not matter"
    claims.answered(pairs[1], "browser", "ann")
    assert claims.available(pairs[:3], "other") == [pairs[2]]
    keys = client.redis.keys(f"{client.keys.web}*")
    assert keys
    assert all(client.redis.ttl(key) > 0 for key in keys)
