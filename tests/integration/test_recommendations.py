"""Recommendations asked of a worker."""

from __future__ import annotations

import json

import pytest

from celery_recommender.client import Client
from tests.integration.conftest import Owners, Run
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.server, pytest.mark.parametrize("server", ["embedded"], indirect=True)]

PRODUCTS = {
    "mug": "stoneware coffee mug, blue glaze",
    "beans": "espresso beans, dark roast",
    "grinder": "hand grinder with ceramic burr",
    "lamp": "brass desk lamp with dimmer",
}


def test_a_list_follows_what_users_do(owner_process: Owners, recommender: Run, client: Client) -> None:
    owner_process().running()
    for id_, text in PRODUCTS.items():
        client.ingest({"id": id_, "collection": "shop", "text": text, "attributes": {"stock": len(id_)}})
    for user in ("ann", "bob", "cem"):
        client.record("beans", user, kind="buy", collection="shop")
        last = client.record("grinder", user, kind="buy", collection="shop")
    wait_until(lambda: client.ask("recommender.stats")["position"] >= str(last), "the interactions are decided")

    best = (client.recommendations("shop", item="beans") or [])[0]
    assert best["id"] == "grinder"
    assert best["why"].startswith("often used together with beans")
    assert client.recommendations("shop", item="there is none") is None

    asked = ("recommend", "--collection", "shop", "--json")
    listed = json.loads(recommender(*asked, "--user", "ann", "--where", "stock>3").stdout)
    assert [one["id"] for one in listed] == ["lamp"], "what ann knows, and what the filter leaves out, is not listed"
    known = json.loads(recommender(*asked, "--user", "ann", "--known", "--limit", "2").stdout)
    assert {one["id"] for one in known} == {"beans", "grinder"}
    assert "used together" in recommender("recommend", "--collection", "shop", "--item", "beans").stdout

    recommender(*asked, "--item", "there is none", status=1)
    assert "limit" in recommender(*asked, "--limit", "0", status=2).stderr


def test_a_list_that_was_shown_is_counted_from_answer_to_hit_rate(
    owner_process: Owners, recommender: Run, client: Client
) -> None:
    owner_process().running()
    for id_, text in PRODUCTS.items():
        client.ingest({"id": id_, "collection": "shop", "text": text})
    client.outcome(client.configure("shop", {"scenarios": {"home": {"arms": {"all": {"share": 1.0}}}}}))
    listed = client.recommendations("shop", user="ann", scenario="home") or []
    again = client.recommendations("shop", user="ann", scenario="home") or []
    ids = {one["recommendation_id"] for one in (*listed, *again)}
    assert (len(listed), len(ids)) == (4, 2), "each answer has an id of its own"
    client.shown(listed, "ann", scenario="home", collection="shop")
    id_ = listed[1]["recommendation_id"]
    last = client.record(listed[1]["id"], "ann", kind="buy", recommendation_id=id_, collection="shop")
    wait_until(lambda: client.ask("recommender.stats")["position"] >= str(last), "the list is decided")
    (rate,) = client.hits("shop") or []
    found = {name: rate[name] for name in ("scenario", "arm", "lists", "hits", "items_used", "mean_reciprocal_rank")}
    assert found == {
        "scenario": "home",
        "arm": "all",
        "lists": 1,
        "hits": 1,
        "items_used": 1,
        "mean_reciprocal_rank": 0.5,
    }
    assert json.loads(recommender("hits", "--collection", "shop", "--json").stdout) == [rate]
    assert "100.0%" in recommender("hits", "--collection", "shop", "--days", "1").stdout
    assert "no collection" in recommender("hits", "--collection", "none", status=1).stdout
