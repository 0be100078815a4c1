"""What a producer can append, with the users of ``deploy/redis/users.acl``: it costs its own messages, and no more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from celery_recommender.broker.commands.encoding import command_fields
from celery_recommender.broker.coordination.proofs import NotPermitted
from celery_recommender.broker.redis.connections import connect
from celery_recommender.client import Client
from celery_recommender.settings import Settings
from recommender_engine.items import EntryId
from tests.support.access import GuardedServer
from tests.support.command_line import call, doctor_finds
from tests.support.engine import Log, opened
from tests.support.processes import OwnerProcess
from tests.support.servers import running
from tests.support.streams import KEYS, PROCESSED, REJECTED, Published, outcomes, published
from tests.support.waiting import wait_until

pytestmark = pytest.mark.server

CALL = {
    "body": "W1t7ImlkIjogIngiLCAidGV4dCI6ICJ5In1dLCB7fSwgeyJjYWxsYmFja3MiOiBbeyJ0YXNrIjogInNob3AucmVmdW5kIn1dfV0=",
    "headers": {"task": "recommender.ingest", "id": "t-1", "lang": "py"},
    "properties": {"body_encoding": "base64", "delivery_info": {}, "delivery_tag": "d"},
    "content-type": "application/json",
    "content-encoding": "utf-8",
}
MOVE = {"collection": "victim", "move": "m", "source": "default", "target": "nowhere"}
FORGED: list[tuple[str, dict[str, Any]]] = [
    ("collection.moved", {**MOVE, "step": "sealed"}),
    ("collection.moved", {**MOVE, "step": "released"}),
    ("collection.moved", {**MOVE, "source": "b", "target": "default", "step": "begun", "arrivals": 9, "points": 9}),
    (
        "collection.records",
        {
            "collection": "victim",
            "move": "m",
            "page": "collection",
            "part": 0,
            "parts": 1,
            "data": "W10=",
            "sha256": "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945",
            "next": None,
        },
    ),
    (
        "message.refused",
        {
            "source": "celery",
            "code": "not_json",
            "message": "no",
            "payload_encoding": "utf-8",
            "payload": json.dumps(CALL),
            "payload_bytes": len(json.dumps(CALL)),
        },
    ),
    ("command.quarantined", {"entry": "1-1", "reason": "it kills"}),
    ("clock.ticked", {}),
    ("collection.deleted", {"collection": "victim"}),
]


class System:
    """A guarded server, a partition on it, and whoever comes."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self.server = GuardedServer(directory / "server", "valkey-server")
        stack.enter_context(running(self.server))
        self.directory = directory
        self._stack = stack
        self.inspector = stack.enter_context(connect(self.server.url))
        self.producer = stack.enter_context(connect(self.server.url_of("producer")))
        self.client = Client(self.settings("producer"), self.producer)

    def settings(self, role: str, **changes: Any) -> Settings:
        return Settings(redis_url=self.server.url_of(role), state_dir=self.directory / "state", **changes)

    def owner(self, name: str, **changes: Any) -> OwnerProcess:
        settings = self.settings("worker", **changes)
        return self._stack.enter_context(OwnerProcess(settings, self.directory / f"{name}.log"))

    def forge(self, type_: str, data: dict[str, Any], **more: str) -> EntryId:
        fields = {"type": type_, "data": json.dumps(data), **more}
        position: Any = self.producer.xadd(KEYS.commands, fields)  # type: ignore[arg-type]
        return EntryId.parse(position.decode())

    def outcome(self, position: EntryId) -> dict[str, Any]:
        return self.client.outcome(position)

    def events(self) -> list[Published]:
        return outcomes(published(self.inspector))


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    with ExitStack() as stack:
        yield System(tmp_path, stack)


def test_commands_of_owners_and_movers_are_not_taken_from_a_producer(system: System) -> None:
    """Nor when an operator sends the dead letters again: that never signs them, and none reaches Celery."""
    owner = system.owner("owner").running()
    system.client.ingest({"id": "v", "collection": "victim", "text": "the lid is missing"})
    forged = [system.forge(type_, data) for type_, data in FORGED]
    made_up = f"{forged[0].ms}.{'0' * 64}"
    forged += [system.forge(type_, data, key=f"k {n}", proof=made_up) for n, (type_, data) in enumerate(FORGED)]
    good = system.client.ingest({"id": "w", "collection": "victim", "text": "the lid is missing again"})
    told = [system.outcome(position) for position in forged]
    assert {(one["type"], one["data"]["code"]) for one in told} == {(REJECTED, "not_permitted")}
    assert {one["data"]["source"] for one in told} == {"stream"}
    assert system.outcome(good)["type"] == PROCESSED

    before = len(system.events())
    again = call(system.settings("worker"), "dead-letters", "replay", "--all", "--json")
    assert json.loads(again.stdout)["replayed"] >= len(FORGED)
    replayed = json.loads(again.stdout)["replayed"]
    wait_until(lambda: len(system.events()) == before + replayed, "what was sent again to be rejected again")
    assert {event.type for event in system.events()[before:]} == {REJECTED}
    assert system.inspector.llen(KEYS.queue) == 0
    assert not owner.ended
    assert system.inspector.keys("recommender:nowhere*") == []


def test_a_producer_that_asks_for_one_gets_what_is_missing(system: System) -> None:
    with pytest.raises(NotPermitted, match=r"clock\.ticked is a command of owners and movers"):
        system.client.send("clock.ticked", {})
    assert system.inspector.exists(KEYS.commands) == 0


def test_a_secret_that_the_server_has_lost_comes_back(system: System) -> None:
    """A flushed server gets it from the owner at work, one that was emptied meanwhile from the state."""
    owner = system.owner("first").running()
    secret = system.inspector.hget(KEYS.proof, "secret")
    assert secret is not None
    system.inspector.delete(KEYS.proof)
    wait_until(lambda: system.inspector.hget(KEYS.proof, "secret") == secret, "the owner to put it back")
    assert owner.terminate() == 0

    # Somebody was faster, and signed with another: both count, whatever is lost next.
    system.inspector.delete(KEYS.proof)
    mover = Client(system.settings("worker"), system.inspector)
    said = dict(FORGED[4][1])
    position = mover.send("message.refused", said)
    assert system.inspector.hget(KEYS.proof, "secret") not in (None, secret)
    system.owner("second").running()
    assert system.outcome(position)["data"]["source"] == "celery"


def test_what_an_earlier_release_has_appended_is_taken_once(system: System) -> None:
    """A state that knows no proofs: what stands in the stream when the first owner comes that does, is as it was."""
    engine = opened(system.settings("worker").partition_dir)
    log = Log()
    engine.process([log.add("item.upsert", {"id": "old", "text": "of an earlier release"})])
    engine.close()
    type_, said = FORGED[4]
    old = system.forge(type_, said)
    system.owner("owner").running()
    assert system.outcome(old)["data"]["source"] == "celery"
    new = system.forge(type_, said)
    assert system.outcome(new)["data"]["code"] == "not_permitted"


def test_a_fresh_partition_takes_nothing_unsigned(system: System) -> None:
    """What came before its first owner did."""
    position = system.forge(*FORGED[4])
    system.owner("owner").running()
    assert system.outcome(position)["data"]["code"] == "not_permitted"


def test_a_command_that_cannot_be_passed_on_is_set_aside_and_holds_up_no_other(system: System) -> None:
    """To a partition that nobody lists, and to one whose keys the owner may not use; now and at the next start."""
    engine = opened(system.settings("worker").partition_dir)
    log = Log()
    lost = log.add("item.upsert", {"id": "lost", "collection": "gone", "text": "of a partition that is no more"})
    engine.process([replace(lost, elsewhere="nowhere")])
    engine.close()
    two: dict[str, Any] = {"partitions": ("default", "b"), "routes": ("mine=default", "theirs=b")}
    owner = system.owner("first", **two).running()
    client = Client(system.settings("worker", **two), system.inspector)

    def send(id_: str) -> EntryId:
        fields = command_fields("item.upsert", {"id": id_, "collection": "theirs", "text": "the lid is missing"})
        return client.partitions.of("default").log.append([fields])[0]

    theirs = send("x")
    mine = client.ingest({"id": "y", "collection": "mine", "text": "the box is missing"})
    assert client.outcome(mine)["type"] == PROCESSED
    told = client.outcome(theirs)["data"]
    assert (told["code"], told["source"], told["item_id"]) == ("not_permitted", "forward", "x")
    assert "recommender dead-letters replay" in told["message"]
    assert owner.terminate() == 0
    owner = system.owner("second", **two).running()
    refused = {event.data["code"]: event.data for event in system.events() if event.type == REJECTED}
    assert refused.keys() == {"not_permitted", "unknown_partition"}
    assert refused["unknown_partition"]["item_id"] == "lost"
    assert system.inspector.keys("recommender:nowhere*") == []

    assert client.outcome(send("z"))["data"]["code"] == "not_permitted"
    finding = doctor_finds(system.settings("worker", **two), "passing on", "failed")
    assert "'b'" in finding["found"]

    # What was missing is there, and the letters go on their way.
    system.inspector.execute_command("ACL", "SETUSER", "worker", "(+xadd %W~recommender:b:commands)")
    call(system.settings("worker"), "dead-letters", "replay", "--reason", "not_permitted")
    wait_until(lambda: system.inspector.xlen("recommender:b:commands") == 2, "both commands to be passed on")
    assert not owner.ended


def test_a_move_between_unlisted_partitions_is_refused(system: System) -> None:
    """Also if it comes from one who may move collections."""
    system.owner("owner").running()
    mover = Client(system.settings("worker"), system.inspector)
    position = mover.send("collection.moved", {**MOVE, "step": "sealed"})
    assert system.outcome(position)["data"]["code"] == "unknown_partition"


def test_only_letters_of_the_door_go_back_through_it(system: System) -> None:
    """What stood in the stream before there were proofs may be anybody's: such a letter does not go to Celery."""
    engine = opened(system.settings("worker").partition_dir)
    log = Log()
    engine.process([log.add("item.upsert", {"id": "old", "text": "of an earlier release"})])
    engine.close()
    forged = system.forge(*FORGED[4])
    owner = system.owner("owner").running()
    assert system.outcome(forged)["data"]["source"] == "celery"
    again = call(system.settings("worker"), "dead-letters", "replay", "--all", "--json")
    assert (again.returncode, json.loads(again.stdout)["replayed"]) == (1, 0)
    assert "nothing shows that the door left it" in json.loads(again.stdout)["kept"][0]
    assert not owner.ended
    assert not [event for event in system.events() if event.data.get("item_id") == "x"]
