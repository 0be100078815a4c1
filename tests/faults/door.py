"""What strangers can append to a commands stream: any bytes as any type of command, by the users that may.

A real owner reads it from a real server with the users of ``deploy/redis/users.acl``. It never ends; every entry that
the server has accepted has one outcome, and good commands between the others are decided as ever.
"""

from __future__ import annotations

import base64
import json
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis.exceptions import ResponseError

from celery_recommender.broker.commands.encoding import command_fields
from celery_recommender.broker.coordination.proofs import Proofs
from celery_recommender.broker.events.outcomes import is_outcome
from celery_recommender.broker.redis.connections import connect
from celery_recommender.settings import Settings
from recommender_engine.items import claimed_item
from recommender_engine.items.commands import COMMAND_TYPES
from recommender_engine.testing import DeterministicEncoder
from tests.support.access import GuardedServer
from tests.support.processes import OwnerProcess
from tests.support.servers import running
from tests.support.streams import DELETED, KEYS, PROCESSED, REJECTED
from tests.support.waiting import wait_until

USERS = ("producer", "celery-producer", "celery-worker")
ROUND = 400  # entries between two looks
_AHEAD_EVERY = 4  # rounds; in those some entries have ids that no clock has reached, and all may be given others
_AHEAD = 150  # one entry in so many
_FLOOD_EVERY = 7  # rounds; in those nearly all is about one item
_NEAR_SHARE = 0.05  # of entries that say again what others have said, or go by their positions
_MOST_S = 120.0

Fields = dict[bytes, bytes]

TEXTS = (
    "the lid is missing",
    "THE lid is missing",
    "heavy rain up north",
    "\u200d" * 3000,
    "é́́" * 200,
    "N/A",
    "7 kg 7 mm",
    "x",
)
IDS = ("a", "b", "c", "d", "e", "f")
COLLECTIONS = ("default", "tickets", "limited", "mortal", "new {}")
KEYS_OF_OTHERS = ("moved 1-1", "quarantine 1-1", "celery 00", "dead letter 1-1", "/recommender/default 1-1")
ANSWERS = ("same", "different", "unsure", "right", "wrong")
OPEN = sorted(name for name, model in COMMAND_TYPES.items() if not model.privileged)
CLOSED = sorted(COMMAND_TYPES.keys() - OPEN)
VERSIONED = ("item.upsert", "item.patch", "item.delete")
STEPS = ("sealed", "begun", "arrived", "released", "cancelled")
DIMENSION = DeterministicEncoder().identity.dimension
_BASE64 = base64.b64encode(b"\x00\x00\x80?" * DIMENSION).decode()  # the number 1, so many times
ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 2**63, 10**400, 1e308, 1e-320, "", "\u0000", "\u202e", "nowhere", "1-1", [], {}, [[[[[]]]]]),
    *({"a": {"b": 1}}, "x" * 300, ["a"] * 70, "2026-03-01T09:30:00Z", [0.0] * 4, [1e-300] * 384, "AAAA", "same"),
)


class Chance(random.Random):
    """Draws entries; the same ones from the same seed.

    Attributes:
        heard: entries that stand in the stream, those with a proof among them: what somebody who can read it could say
            again.
        flooded: whether nearly all is about one item.
    """

    flooded = False

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.heard: list[tuple[str, Fields]] = []

    def entry(self) -> Fields:
        """The fields of one."""
        if self.heard and self.random() < _NEAR_SHARE:
            return self.again()
        if self.flooded and self.random() < 0.9:
            return self.of_one_item()
        return self.drawn()

    def again(self) -> Fields:
        """An entry that stands there: the same once more, with something changed, or under the key that a forward of it
        without a key would have."""
        position, fields = self.choice(self.heard)
        fields = dict(fields)
        if self.random() < 0.5:
            changed = self.choice([*fields])
            fields[changed] = fields[changed][:-1] + self.randbytes(1)
        if b"proof" not in fields and self.random() < 0.5:
            fields[b"key"] = f"/recommender/default {position}".encode()
        return fields

    def of_one_item(self) -> Fields:
        """One of many commands about the same item, some with versions, some under the same keys."""
        type_ = self.choice(("item.upsert", "item.upsert", "item.patch", "item.delete", "item.erase", "feedback.given"))
        said = {**self.said(type_), "id": IDS[0], "collection": COLLECTIONS[1]}
        if type_ in VERSIONED and self.random() < 0.3:
            said["version"] = self.randrange(50)
        fields = {b"type": type_.encode(), b"data": json.dumps(said).encode()}
        return fields | ({b"key": b"flood %d" % self.randrange(20)} if self.random() < 0.3 else {})

    def drawn(self) -> Fields:
        """Any command, or nearly."""
        if self.random() < 0.05:
            return {self.randbytes(self.randint(1, 9)): self.randbytes(20) for _ in range(self.randint(1, 5))}
        # Nine in ten of what a producer may say, however many types there are: the others are refused unread.
        type_ = self.choice(OPEN if self.random() < 0.9 else CLOSED)
        fields = {b"type": type_.encode(), b"data": self.data(type_)}
        if self.random() < 0.05:
            fields[b"type"] = self.choice((b"", b"\xff\n", b"item.upserT", b"item.upsert\x00", b"t" * 70_000))
        if self.random() < 0.02:
            del fields[self.choice((b"type", b"data"))]
        for name, odds, values in (
            (b"key", 0.5, (*KEYS_OF_OTHERS, "", "\xff", "k" * 300, *IDS, *(str(self.random()) for _ in range(40)))),
            (b"reply_to", 0.1, ("0 task", "x", "y" * 600, "1 0 task")),
            (b"expires_ms", 0.05, ("1", "99999999999999", "x", "-1")),
            (b"via", 0.05, ("b", "a,b,c", ",", "b" * 70, "default")),
            (b"proof", 0.05, ("x", f"{int(time.time() * 1000)}.{'0' * 64}", f"{2**60}.{'f' * 64}")),
            (b"colour", 0.02, ("red",)),
        ):
            if self.random() < odds:
                fields[name] = self.choice(values).encode(errors="replace")
        return fields

    def data(self, type_: str) -> bytes:
        """Something that a command of a type could be, or nearly."""
        if self.random() < 0.04:
            return self.randbytes(self.choice((0, 1, 30, 3000)))
        said = self.said(type_)
        for _ in range(self.choice((0, 0, 0, 1, 2))):
            names = (*said, *said, *COMMAND_TYPES[type_].model_fields, "odd")
            said[self.choice(names)] = self.choice(ODD)
        raw = json.dumps(said).encode()
        if self.random() < 0.05:
            place = self.randrange(len(raw))
            raw = raw[:place] + self.randbytes(self.choice((0, 1, 2))) + raw[place + 1 :]
        return raw * self.choice((1,) * 60 + (2, 3000))

    def said(self, type_: str) -> dict[str, Any]:
        """A command that could be one."""
        place = self.choice(COLLECTIONS).format(self.randrange(5))
        about = {"id": self.choice(IDS), "collection": place}
        move = {"collection": place, "move": "m", "source": self.choice(("default", "b")), "target": "nowhere"}
        page = json.dumps([{"kind": "key", "key": "k", "ms": 2**62, "event": "{"}]).encode()
        makers: dict[str, Any] = {
            "item.upsert": lambda: {**about, **self.content(), "attributes": {"n": self.random()}},
            "item.patch": lambda: {**about, "attributes": {"n": self.choice(ODD[:8])}},
            "feedback.given": lambda: {**about, **self.answer()},
            "collection.configured": lambda: {"collection": place, "settings": self.settings()},
            "command.quarantined": lambda: {"entry": "1-1", "reason": "of the test"},
            "message.refused": lambda: {
                "source": "celery",
                "code": "not_json",
                "message": "no",
                "payload_encoding": "utf-8",
                "payload": json.dumps({"headers": {"task": "recommender.erase"}}),
                "payload_bytes": 9,
            },
            "collection.moved": lambda: {
                **move,
                "step": self.choice(STEPS),
                "arrivals": 9,
                "points": 9,
            },
            "collection.records": lambda: {
                "collection": place,
                "move": "m",
                "page": "collection",
                "part": self.choice((0, 1, 999)),
                "parts": 1,
                "data": base64.b64encode(page).decode(),
                "sha256": "0" * 64,
                "next": None,
            },
        }
        made: dict[str, Any] = makers.get(type_, lambda: dict(about))()
        return made

    def content(self) -> dict[str, Any]:
        """Of an item: a text or fields, and now and then all else that one may have."""
        text = self.choice(TEXTS)
        said: dict[str, Any] = {"text": text}
        if self.random() < 0.2:
            said = {"fields": {"title": self.choice(TEXTS), "body": text}}
        for name, odds, values in (
            ("vector", 0.1, ([self.random() for _ in range(DIMENSION)], [0.5] * 3, _BASE64, "AAAA")),
            ("version", 0.1, (0, 1, 5, 2**53)),
            ("silent", 0.1, (True, False)),
            ("timestamp", 0.1, ("2026-03-01T09:30:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59+14:00", "now")),
        ):
            if self.random() < odds:
                said[name] = self.choice(values)
        return said

    def answer(self) -> dict[str, Any]:
        """Of a person: on two items, or on the verdict on one."""
        answer = self.choice(ANSWERS)
        return {"answer": answer} | ({} if answer in ("right", "wrong") else {"other": self.choice(IDS)})

    def settings(self) -> dict[str, Any]:
        """Of a collection."""
        return self.choice(
            (
                {"ttl_seconds": 1},
                {"commands_per_second": 5},
                {"equal": ["n"], "window_seconds": 60},
                {"only": {"n": ["1"]}, "candidates": 500},
                {"rule": "cosine", "model": "none"},
                {},
            )
        )


@dataclass
class Tally:
    """What a run has seen.

    Attributes:
        entries: that the server has accepted.
        refused: that it has not.
        good: commands between them that had to be decided.
        outcomes: by type of event, rejections by code.
        slowest_s: the longest that a round took, its entries being decided one after the other.
    """

    entries: int = 0
    refused: int = 0
    good: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0


class Door:
    """A server, an owner, and strangers.

    Args:
        directory: for their files.
        seed: of what is sent.
    """

    def __init__(self, directory: Path, seed: int, stack: ExitStack) -> None:
        server = GuardedServer(directory / "server", "valkey-server")
        stack.enter_context(running(server))
        self._inspector = stack.enter_context(connect(server.url))
        self._users = [stack.enter_context(connect(server.url_of(user))) for user in USERS]
        settings = Settings(redis_url=server.url_of("worker"), state_dir=directory / "state", lease_s=5)
        self.owner = stack.enter_context(OwnerProcess(settings, directory / "owner.log"))
        self.owner.running()
        self._proofs = Proofs(self._inspector, KEYS)
        self._chance = Chance(seed)
        self._after = "0"
        self._rounds = 0
        self.tally = Tally()

    def run(self, seconds: float) -> Tally:
        """Send for so long, at least one round."""
        until_s = time.monotonic() + seconds
        while True:
            self.round()
            if time.monotonic() >= until_s:
                return self.tally

    def round(self) -> None:
        """Some hundred entries, and what comes of them."""
        started_s = time.monotonic()
        self._rounds += 1
        ahead = self._rounds % _AHEAD_EVERY == 0
        self._chance.flooded = self._rounds % _FLOOD_EVERY == 0
        self._listen()
        sent = [(position, fields) for fields in self._drawn() if (position := self._append(fields, ahead)) is not None]
        deleted = self._delete()
        good = [self._good() for _ in range(5)]
        found: list[dict[str, Any]] = []
        wait_until(lambda: self._read(found, good[-1]) or self.owner.ended, f"the outcome of {good[-1]}", _MOST_S)
        assert not self.owner.ended, f"the owner has ended: {self.owner.output[-3000:]}"
        assert {event["data"].get("item_id") for event in found if event["type"] == PROCESSED} >= set(good)
        by_command = Counter(event["data"]["command"]["id"] for event in found)
        assert max(by_command.values()) == 1, by_command.most_common(3)
        erased = {_item(event) for event in found if event["type"] == DELETED and event["data"]["erased"]}
        if ahead:
            least = sum(not _may_be_silent(fields, erased) for _, fields in sent)
            assert least <= len(found) - len(good) - 1 <= len(sent), (least, len(found), len(sent))
        else:
            assert by_command[deleted] == 1, deleted
            lost = [one for one in sent if not by_command[one[0]] and not _may_be_silent(one[1], erased)]
            assert not lost, lost[0]
        self._count(found, len(sent), len(good))
        self.tally.slowest_s = max(self.tally.slowest_s, time.monotonic() - started_s)

    def _count(self, found: Sequence[dict[str, Any]], entries: int, good: int) -> None:
        for event in found:
            self.tally.outcomes[event["data"]["code"] if event["type"] == REJECTED else event["type"]] += 1
        self.tally.entries += entries + good
        self.tally.good += good

    def _drawn(self) -> Iterator[Fields]:
        for _ in range(ROUND):
            yield self._chance.entry()

    def _append(self, fields: Fields, ahead: bool) -> str | None:
        """Append an entry; its position, if the server has taken it."""
        redis, id_ = self._chance.choice(self._users), "*"
        if ahead and self._chance.randrange(_AHEAD) == 0:
            id_ = f"{self._chance.choice((2**64 - 1, 2**63, int(time.time() * 1000) + 10**10))}-0"
        try:
            position: Any = redis.xadd(KEYS.commands, fields, id=id_)  # type: ignore[arg-type]
        except ResponseError:  # the last id is the highest, until the owner has brought the stream back
            self.tally.refused += 1
            return None
        return str(position.decode())

    def _good(self) -> str:
        """Append a good item, as soon as the server takes it; its id."""
        id_ = f"good {self._rounds} {self._chance.random()}"
        data = json.dumps({"id": id_, "collection": "good", "text": f"the text of {id_}"}).encode()
        wait_until(lambda: self._append({b"data": data}, ahead=False), "the server to take a good item", _MOST_S)
        return id_

    def _delete(self) -> str:
        """Delete a collection, as an operator may; the position of the command."""
        name = self._chance.choice(COLLECTIONS[1:]).format(self._chance.randrange(5))
        fields = command_fields("collection.deleted", {"collection": name})
        positions: list[Any] = []

        def appended() -> bool:
            with suppress(ResponseError):  # the last id is the highest
                positions.append(self._inspector.xadd(KEYS.commands, self._proofs.signed(fields)))  # type: ignore[arg-type]
            return bool(positions)

        wait_until(appended, "the server to take a deletion", _MOST_S)
        return str(positions[0].decode())

    def _listen(self) -> None:
        """What stands in the stream now; what had a proof is remembered for longer."""
        entries: Any = self._inspector.xrevrange(KEYS.commands, count=ROUND)
        proven = [one for one in self._chance.heard if b"proof" in one[1]][-ROUND:]
        self._chance.heard = [*proven, *((position.decode(), fields) for position, fields in entries)]

    def _read(self, found: list[dict[str, Any]], last: str) -> bool:
        """Outcomes so far, until that of the last item is there."""
        entries: Any = self._inspector.xrange(KEYS.events, f"({self._after}" if self._after != "0" else "-", count=500)
        for id_, raw in entries:
            self._after = id_.decode()
            event = json.loads(raw[b"event"])
            if is_outcome(event):
                found.append(event)
        return any(event["data"].get("item_id") == last for event in found[-500:])


def _item(event: dict[str, Any]) -> tuple[str, str]:
    return event["data"]["collection"], event["data"]["item_id"]


def _may_be_silent(fields: Fields, erased: AbstractSet[tuple[str, str]]) -> bool:
    """Whether an entry may have no outcome in the stream: a repeat, a part of a backfill, one that came another way, or
    one about an item that has been erased since."""
    data = fields.get(b"data", b"")
    about = claimed_item(data)
    gone = about is not None and any(about.collection == one and id_.encode() in data for one, id_ in erased)
    return gone or b"key" in fields or b"via" in fields or b"silent" in data
