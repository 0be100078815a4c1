"""Which partition a collection belongs to."""

from __future__ import annotations

from typing import Any

import pytest

from celery_recommender.broker.commands.admission import NotPassedOn, Overloaded
from celery_recommender.broker.routing import partitions
from celery_recommender.broker.routing import routes as routing
from celery_recommender.broker.routing.partitions import AppendedCommand, Partitions
from celery_recommender.broker.routing.routes import STALE_AFTER_S, Routing, by_hash, collection_of
from celery_recommender.settings import Settings
from recommender_engine.errors import ConfigurationError
from recommender_engine.items import EntryId

SETTINGS = Settings(partition="b", partitions=("a", "b", "c"), routes=("fixed=c", "odd=name=a"))


class Hash:
    """The one key that is read, and how often it was."""

    def __init__(self, **moved: str) -> None:
        self.moved = {name.encode(): partition.encode() for name, partition in moved.items()}
        self.reads = 0

    def hgetall(self, key: str) -> dict[bytes, bytes]:
        assert key == "recommender:routes"
        self.reads += 1
        return dict(self.moved)

    def hget(self, key: str, field: str) -> bytes | None:
        return self.moved.get(field.encode())


@pytest.mark.parametrize(
    ("collection", "two", "three"),
    [("tickets", "b", "b"), ("products", "b", "c"), ("tenant 7", "a", "a"), ("Überraschung", "a", "c")],
)
def test_the_hash_is_the_same_in_every_release(collection: str, two: str, three: str) -> None:
    """Producers in other languages compute it, and a collection must not change its place with a release."""
    assert (by_hash(collection, ("a", "b")), by_hash(collection, ("a", "b", "c"))) == (two, three)


def test_one_partition_more_takes_its_share_and_moves_nothing_else() -> None:
    names = [f"tenant {n}" for n in range(3000)]
    before = {name: by_hash(name, ("a", "b", "c")) for name in names}
    after = {name: by_hash(name, ("a", "d", "b", "c")) for name in names}
    changed = [name for name in names if before[name] != after[name]]
    assert {after[name] for name in changed} == {"d"}
    assert 600 < len(changed) < 900
    assert all(800 < list(before.values()).count(partition) < 1200 for partition in ("a", "b", "c"))


def test_what_was_moved_counts_before_what_is_set_and_that_before_the_hash() -> None:
    routing = Routing(Hash(moved="c", fixed="a", gone="nowhere"), SETTINGS)  # type: ignore[arg-type]
    assert routing.partition_of("moved") == "c"
    assert routing.partition_of("fixed") == "a"
    assert Routing(Hash(), SETTINGS).partition_of("fixed") == "c"  # type: ignore[arg-type]
    assert routing.partition_of("odd=name") == "a"
    assert routing.partition_of("gone") == by_hash("gone", SETTINGS.partitions)
    assert routing.partition_of(None) == "b"


def test_what_is_known_is_a_few_seconds_old_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr(routing.time, "monotonic", lambda: now_s)
    server = Hash()
    known = Routing(server, SETTINGS)  # type: ignore[arg-type]
    before = known.partition_of("tickets")
    server.moved[b"tickets"] = other = b"a" if before != "a" else b"b"
    now_s += STALE_AFTER_S - 0.1
    assert (known.partition_of("tickets"), server.reads) == (before, 1)
    assert known.asked_now("tickets") == other.decode()
    now_s += 0.2
    assert (known.partition_of("tickets"), server.reads) == (other.decode(), 2)


def test_with_one_partition_nothing_is_asked() -> None:
    server = Hash(tickets="b")
    assert Routing(server, Settings(partition="x")).partition_of("tickets") == "x"  # type: ignore[arg-type]
    assert server.reads == 0


def test_a_producer_waits_for_an_owner_that_is_away_as_for_one_that_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has sent there has not been passed on, and what it sends now would overtake it."""
    late: list[dict[str, Any] | None] = [
        None,
        {"position": "4-0", "passing": 0},
        {"position": "5-0", "passing": 1},
        {"position": "5-0", "passing": 0},
    ]
    asked = iter(late)
    monkeypatch.setattr(partitions, "read_status", lambda *_: next(asked))
    monkeypatch.setattr(partitions, "_POLL_S", 0)
    producer = Partitions(Hash(c="a"), SETTINGS)  # type: ignore[arg-type]
    producer.appended("c", [AppendedCommand.at(EntryId(5, 0), "b")])
    assert producer.belongs("c").name == "a"
    assert list(asked) == []


def test_what_would_overtake_is_refused_in_time_and_not_sent_in_silence(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(partitions, "read_status", lambda *_: None)
    monkeypatch.setattr(partitions, "_PASSED_ON_WITHIN_S", 0.05)
    producer = Partitions(Hash(c="a", d="a"), SETTINGS)  # type: ignore[arg-type]
    producer.appended("c", [AppendedCommand.at(EntryId(5, 0), "b")])
    producer.appended("d", [AppendedCommand.at(EntryId(5, 0), "gone")])
    with pytest.raises(NotPassedOn, match="'c' has moved from partition 'b' to 'a'") as caught:
        producer.belongs("c")
    assert isinstance(caught.value, Overloaded), "who comes back later for one does so for the other"
    assert "producer.not_passed_on" in caplog.text
    monkeypatch.setattr(partitions.time, "sleep", lambda _: pytest.fail("a second wait"))
    with pytest.raises(NotPassedOn, match="try again"):
        producer.belongs("c")
    assert producer.belongs("d").name == "a", "a partition that is not listed any more is not waited for"
    monkeypatch.setattr(partitions, "read_status", lambda *_: {"position": "5-0", "passing": 0})
    assert producer.belongs("c").name == "a", "it was passed on meanwhile"


def test_the_error_is_made_anew_from_what_it_holds() -> None:
    error = NotPassedOn("a reason", 2.0)
    again = type(error)(*error.args)
    assert (str(again), again.retry_after_s, again.depth) == ("a reason", 2.0, None)


@pytest.mark.parametrize(
    ("data", "collection"),
    [
        ({"id": "1"}, "default"),
        ({"collection": "c"}, "c"),
        ({"collection": 7}, None),
        ({"collection": "\n"}, None),
        ([], None),
    ],
)
def test_a_sender_sees_what_a_command_is_about(data: Any, collection: str | None) -> None:
    assert collection_of(data) == collection


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"PARTITIONS": "a,a"}, "RECOMMENDER_PARTITIONS.*twice"),
        ({"PARTITIONS": "a,b c"}, "RECOMMENDER_PARTITIONS.*letters"),
        ({"PARTITIONS": "a,b", "ROUTES": "tickets"}, "RECOMMENDER_ROUTES.*COLLECTION=PARTITION"),
        ({"PARTITIONS": "a,b", "ROUTES": "tickets=c"}, "RECOMMENDER_ROUTES.*one of RECOMMENDER_PARTITIONS"),
        ({"ROUTES": "tickets=c"}, "RECOMMENDER_ROUTES"),
    ],
)
def test_settings_that_cannot_be_are_named(variables: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Settings.from_environment({f"RECOMMENDER_{name}": value for name, value in variables.items()})


def test_a_worker_owns_one_of_those_that_are_listed() -> None:
    with pytest.raises(ConfigurationError, match=r"RECOMMENDER_PARTITION=.x.: it is not one of .*a, b"):
        Settings(partition="x", partitions=("a", "b")).require_member()
    Settings(partition="x").require_member()
    assert Settings(partitions=("a", "b")).home == "a"


def test_no_partition_takes_the_place_of_one_that_is_named() -> None:
    assert Settings(partition="b", partitions=("a", "b")).home == "b"
    with pytest.raises(ConfigurationError, match=r"RECOMMENDER_PARTITION=.x.: it is not one of .*a, b"):
        _ = Settings(partition="x", partitions=("a", "b")).home


def test_a_position_knows_its_partition_and_is_one_nevertheless() -> None:
    placed = AppendedCommand.at(EntryId(5, 1), "a")
    assert (placed, str(placed), placed.partition) == (EntryId(5, 1), "5-1", "a")
