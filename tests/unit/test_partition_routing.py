"""An owner among others: what it says of its collections when it starts."""

from __future__ import annotations

import pytest

from celery_recommender.broker.redis.keys import ROUTES
from celery_recommender.broker.routing.routes import by_hash
from celery_recommender.owner.loop import partition_routing
from celery_recommender.owner.loop.partition_routing import PartitionRouting
from celery_recommender.settings import Settings
from recommender_engine import Recommender
from tests.support.engine import Log
from tests.support.partitions import Pair

PARTITIONS = ("a", "b")


class Routes:
    """The hash of routes, and nothing else."""

    def __init__(self) -> None:
        self.kept: dict[bytes, bytes] = {}

    def hgetall(self, key: str) -> dict[bytes, bytes]:
        assert key == ROUTES
        return dict(self.kept)

    def hget(self, key: str, field: str) -> bytes | None:
        assert key == ROUTES
        return self.kept.get(field.encode())

    def hsetnx(self, key: str, field: str, value: str) -> None:
        assert key == ROUTES
        self.kept.setdefault(field.encode(), value.encode())

    def hdel(self, key: str, field: str) -> None:
        assert key == ROUTES
        self.kept.pop(field.encode(), None)

    def exists(self, key: str) -> int:
        """No other partition has a state."""
        return 0


def routing_of(name: str, routes: Routes, engine: Recommender) -> PartitionRouting:
    settings = Settings(partition=name, partitions=PARTITIONS)
    return PartitionRouting(engine, settings, routes, lambda entry, partition: partition, lambda entry, listed: listed)  # type: ignore[arg-type]


def kept_by(pair: Pair, name: str) -> dict[bytes, bytes]:
    """The routes that an owner notes when it starts."""
    routes = Routes()
    routing_of(name, routes, pair[name].engine).keep()
    return routes.kept


def test_a_collection_that_has_arrived_is_kept_as_one_that_began_here() -> None:
    """The mover was killed before it wrote the route, or the routes were lost, or the list has grown since."""
    pair = Pair()
    source = by_hash("c", PARTITIONS)
    (target,) = {*PARTITIONS} - {source}
    pair[source].add("item.upsert", {"id": "x", "collection": "c", "text": "the lid is missing"})
    pair[source].decide()
    on_the_way = [(step, kept_by(pair, target), kept_by(pair, source)) for step in pair.move(source, target)]
    assert all(at_target == {} for step, at_target, _ in on_the_way if step != "released")
    assert all(at_source == {} for _, _, at_source in on_the_way)
    assert kept_by(pair, target) == {b"c": target.encode()}
    assert kept_by(pair, source) == {}
    pair.close()


def test_a_collection_that_is_deleted_leaves_no_route_and_is_nobodys() -> None:
    pair, routes = Pair(), Routes()
    source = by_hash("c", PARTITIONS)
    (target,) = {*PARTITIONS} - {source}
    pair[source].add("item.upsert", {"id": "x", "collection": "c", "text": "the lid is missing"})
    pair[source].decide()
    list(pair.move(source, target))
    here = routing_of(target, routes, pair[target].engine)
    here.keep()
    assert routes.kept == {b"c": target.encode()}
    upsert = pair[target].log.upsert("y", "the lid is missing", collection="c")
    assert here.route(upsert).elsewhere is None
    pair[target].add("collection.deleted", {"collection": "c"})
    pair[target].decide()
    here.committed(pair[target].events[-1:])
    here.forget_routes()
    assert routes.kept, "the partition that it came from does not know yet"
    pair.settle()
    here.forget_routes()
    assert routes.kept == {}
    assert here.route(upsert).elsewhere == source
    pair.close()


def test_a_route_of_a_collection_that_has_begun_anew_stays() -> None:
    pair, routes = Pair(), Routes()
    routes.kept[b"c"] = b"a"
    here = routing_of("a", routes, pair["a"].engine)
    pair["a"].add("item.upsert", {"id": "x", "collection": "c", "text": "the lid is missing"})
    pair["a"].add("collection.deleted", {"collection": "c"})
    pair["a"].add("item.upsert", {"id": "x", "collection": "c", "text": "the lid is missing"})
    pair["a"].decide()
    here.committed(pair["a"].events)
    here.forget_routes()
    assert routes.kept == {b"c": b"a"}
    pair.close()


def test_invented_collection_names_do_not_accumulate(engine: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition_routing, "_MOST_NAMES", 10)
    here, log = routing_of("a", Routes(), engine), Log()
    for n in range(100):
        here.route(log.upsert("x", "a text", collection=f"name {n}"))
    assert len(here._known_here) == 10
