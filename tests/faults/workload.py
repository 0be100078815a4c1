"""A small seeded log of commands of every kind, under ids of its own, so that any two servers can hold the same."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from redis import Redis

from celery_recommender.broker.coordination.proofs import Proofs
from celery_recommender.owner.delivery.replies import reply_address
from recommender_engine.items import DEFAULT_MODEL, EntryId
from tests.support.encoders import SECOND, FixedEncoders
from tests.support.poison import KILLS
from tests.support.streams import KEYS

COMMANDS = 67
COLLECTIONS = ("tickets", "products")
_DAY_MS = 24 * 3600 * 1000
# The last commands come so much later that whatever falls due in the log is published by them, and no clock must tick.
_LATER_MS = 10 * 60 * 1000

_SUBJECTS = ("printer", "screen", "invoice", "router", "password", "parcel")
_TROUBLES = ("is broken", "stays black", "was sent twice", "is lost", "shows an error")
_MALFORMED = (b"", b"{", b"[]", b"null", b'{"id":1}', b'{"id":"M","text":NaN}', b"\xff\xfe", b'{"id":"M","txt":"?"}')


class Workload(NamedTuple):
    """Commands in order, and the callers that wait for some of them.

    Attributes:
        log: entries of the commands stream.
        callers: ids of Celery tasks that wait for an outcome.
        repeats: how many commands count as repeats of another under their key, or are of a user who is erased.
    """

    log: list[tuple[EntryId, dict[str, str | bytes]]]
    callers: list[str]
    repeats: int

    @property
    def last(self) -> EntryId:
        """Id of the last command."""
        return self.log[-1][0]

    def append(self, redis: Redis) -> None:
        """Put it into the commands stream, with the requests of the callers, and proofs of those that need one."""
        proofs = Proofs(redis, KEYS)
        signed = [(id_, proofs.signed(one) if str(one["type"]).startswith("model.") else one) for id_, one in self.log]
        with redis.pipeline() as pipe:
            for task_id in self.callers:
                pipe.hset(KEYS.replies, task_id, json.dumps({"id": task_id, "task": "recommender.ingest"}))
            for id_, fields in signed:
                pipe.xadd(KEYS.commands, dict(fields), id=str(id_))  # type: ignore[arg-type]
            pipe.execute()


def make_workload(seed: int, start_ms: int, commands: int = COMMANDS, *, poisoned: bool = False) -> Workload:
    """The workload of a seed.

    Args:
        seed: everything but the ids follows from it.
        start_ms: of the log, in the past; some of its commands are three days older.
        commands: about how many.
        poisoned: whether one more, in the midst of them, ends every process that embeds it.
    """
    return _Writer(random.Random(f"workload {seed}"), start_ms).write(commands, poisoned=poisoned)


OF_THE_ERASED = 3
"""Commands of each log whose outcomes an erasure of their user deletes."""


class _Writer:
    def __init__(self, chance: random.Random, start_ms: int) -> None:
        self._chance = chance
        self._ms = start_ms - 3 * _DAY_MS
        self._start_ms = start_ms
        self._log: list[tuple[EntryId, dict[str, str | bytes]]] = []
        self._callers: list[str] = []
        self._keys: dict[str, str] = {}
        self._erased: set[str] = set()
        self._repeats = 0
        self._items: list[dict[str, str]] = []
        self._lists: list[dict[str, str]] = []

    def write(self, commands: int, *, poisoned: bool) -> Workload:
        for name in COLLECTIONS:
            self._configure(name)
        for _ in range(4):  # days ago: by the end their events are due to be dropped from the store
            self._add("item.upsert", self._item(), key=f"key {len(self._log)}")
        self._outage()  # it is over when the log goes on, not whenever a worker ticks
        self._items.clear()  # so nobody touches them: what was said of them can be counted in the events stream
        self._ms = self._start_ms
        self._add("item.upsert", self._item())
        self._watched_list()
        self._model("proposed", SECOND)
        changes = {
            commands * 2 // 5: ("promoted", SECOND),
            commands * 3 // 5: ("promoted", DEFAULT_MODEL),
            commands * 3 // 4: ("dropped", SECOND),
        }
        kinds = self._kinds()
        deadly = self._chance.randrange(len(self._log), commands - 10) if poisoned else commands
        while len(self._log) < commands - 11 - len(self._lists) or deadly < commands:
            if len(self._log) >= deadly:
                self._add("item.upsert", {**self._item(), "text": f"{KILLS} since order {deadly}"})
                deadly = commands
            self._change_models(changes)
            (write,) = self._chance.choices(list(kinds), list(kinds.values()))
            write()
        self._change_models(changes, all_of_them=True)
        self._leave()
        self._erase(self._items[0])  # at the least this one, long published
        for name in COLLECTIONS:  # so that no list falls due in the end
            self._add("collection.configured", {"collection": name, "settings": self._settings(name)})
        for list_ in self._lists:
            self._add("recommendations.unsubscribed", list_)
        self._ms += _LATER_MS
        for _ in range(6):  # a few lists of settings that ask for none any more are forgotten before each
            self._ms += 150
            self._add("item.patch", {**self._items[0], "attributes": {"gone": True}})
        for _ in range(2):
            self._add("item.upsert", self._item())
        return Workload(self._log, self._callers, self._repeats)

    def _kinds(self) -> dict[Callable[[], None], int]:
        """What writes commands of each kind, and its weight."""
        add, known = self._add, self._known
        return {
            lambda: add("item.upsert", self._item()): 24,
            self._twins: 8,
            lambda: add("item.upsert", {**known(), "text": self._text()}): 8,
            lambda: add("item.patch", {**known(), "attributes": {"status": len(self._log)}}): 5,
            lambda: add("item.delete", known()): 5,
            lambda: self._erase(known()): 3,
            self._feedback: 9,
            lambda: self._configure(self._chance.choice(COLLECTIONS)): 2,
            lambda: self._repeat(other_text=False): 6,
            lambda: self._repeat(other_text=True): 4,
            lambda: add("item.upsert", self._chance.choice(_MALFORMED)): 5,
            self._silent: 6,
            self._early: 3,
            self._versions: 4,
            self._asked: 6,
            self._visit: 8,
            self._shown: 4,
            self._subscribe: 5,
            lambda: add("user.merged", {**self._user(), "session": f"s{self._chance.randrange(3)}"}): 2,
        }

    def _text(self) -> str:
        chance = self._chance
        return f"The {chance.choice(_SUBJECTS)} {chance.choice(_TROUBLES)} since order {chance.randrange(12)}"

    def _item(self, **more: Any) -> dict[str, Any]:
        item = {"id": f"T-{len(self._log)}", "collection": self._chance.choice(COLLECTIONS)}
        self._items.append(item)
        return {**item, "text": self._text(), "attributes": {"place": len(self._log)}, **more}

    def _known(self) -> dict[str, str]:
        return dict(self._chance.choice(self._items))

    def _twins(self) -> None:
        """The same text under several ids, one behind the other."""
        first = self._item()
        self._add("item.upsert", first)
        for _ in range(self._chance.choice((1, 2))):
            twin = {**self._item(), "text": first["text"], "collection": first["collection"]}
            self._items[-1]["collection"] = first["collection"]
            self._add("item.upsert", twin)

    def _erase(self, item: dict[str, str]) -> None:
        self._erased.add(item["id"])
        self._add("item.erase", item)

    def _feedback(self) -> None:
        one = self._known()
        others = [item["id"] for item in self._items if item["collection"] == one["collection"] and item != one]
        if others and self._chance.random() < 0.7:
            answer = self._chance.choice(("same", "same", "different", "different", "unsure"))
            self._add("feedback.given", {**one, "other": self._chance.choice(others), "answer": answer})
        else:
            self._add("feedback.given", {**one, "answer": self._chance.choice(("right", "wrong"))})

    def _configure(self, collection: str) -> None:
        settings = self._settings(collection)
        if self._log and self._chance.random() < 0.3:
            settings["push"] = {"items": True, "users": True, "min_interval_seconds": 1}
        if self._log and self._chance.random() < 0.5:
            settings["candidates"] = self._chance.choice((3, 10))
        self._add("collection.configured", {"collection": collection, "settings": settings})

    def _settings(self, collection: str) -> dict[str, Any]:
        if collection == "tickets":
            return {"index": "auto", "incidents": True, "incident_score": 3.0}
        return {"index": "hnsw"}

    def _watched_list(self) -> None:
        """Every log has a list that is told, then changed by what arrives, and by what goes."""
        first = self._items[0]
        list_ = {"item": first["id"], "collection": first["collection"]}
        self._lists.append(list_)
        self._add("recommendations.subscribed", list_)
        for number in range(4):
            self._ms += 2000
            other = {"id": f"T-{len(self._log)}", "collection": first["collection"]}
            self._items.append(other)
            self._add("item.upsert", {**other, "text": f"The watched printer stops at page {number}"})
        self._ms += 2000
        self._add("item.delete", self._items.pop())
        self._ms += 2000

    def _change_models(self, changes: dict[int, tuple[str, str]], *, all_of_them: bool = False) -> None:
        """Write the changes whose place in the log has come."""
        while changes and (all_of_them or len(self._log) >= min(changes)):
            self._model(*changes.pop(min(changes)))

    def _model(self, what: str, model: str) -> None:
        """The model of a collection changes, and back; a worker without the second model rejects that."""
        encoder = FixedEncoders().encoder(model)
        data = {"collection": "tickets", "model": model, "digest": encoder.identity.fingerprint}
        self._add(f"model.{what}", data, key=f"change {len(self._log)}")

    def _subscribe(self) -> None:
        """The list of an item or a user is to be told; time passes, so that others are told now."""
        item, user = self._known(), self._user()
        of_item = {"item": item["id"], "collection": item["collection"]}
        list_ = of_item if self._chance.random() < 0.7 else user
        self._lists.append(list_)
        self._add("recommendations.subscribed", list_)
        self._ms += self._chance.choice((150, 2000))

    def _repeat(self, *, other_text: bool) -> None:
        """A key is used again: with the same body, or with another one, which is rejected."""
        key = f"key {self._chance.randrange(4)}"
        if key in self._keys and not other_text:
            self._repeats += 1
            self._append("item.upsert", self._keys[key], key=key)
            return
        body = json.dumps(self._item(collection="tickets"))
        self._items[-1]["collection"] = "tickets"
        first = json.loads(self._keys.get(key, body))
        self._repeats += first["id"] in self._erased  # what it said is not known any more: any body is a repeat
        self._keys.setdefault(key, body)
        self._append("item.upsert", body, key=key)

    def _silent(self) -> None:
        for _ in range(self._chance.choice((1, 3))):
            self._add("item.upsert", self._item(silent=True))
        if self._chance.random() < 0.3:
            self._ms += 6000  # a summary falls due

    def _early(self) -> None:
        """A patch or a deletion that comes before its item."""
        item = self._item()
        key = {name: item[name] for name in ("id", "collection")}
        if self._chance.random() < 0.5:
            self._add("item.patch", {**key, "attributes": {"early": True}})
        else:
            self._add("item.delete", {**key, "version": self._chance.choice((1, 9))})
            item["version"] = 5
        self._add("item.upsert", item)

    def _versions(self) -> None:
        item = self._item()
        for version in self._chance.sample(range(1, 6), 2):
            self._add("item.upsert", {**item, "text": self._text(), "version": version})

    def _asked(self) -> None:
        """A Celery task waits for the outcome. Its item is never erased, so that what it is told stays the same."""
        item = {**self._item(), "id": f"R-{len(self._log)}"}
        del self._items[-1]
        task_id = f"task-{len(self._callers)}"
        self._callers.append(task_id)
        self._add("item.upsert", item, key=task_id, reply_to=reply_address(task_id))

    def _user(self) -> dict[str, str]:
        return {"user": f"u{self._chance.randrange(3)}", "collection": self._chance.choice(COLLECTIONS)}

    def _outage(self) -> None:
        """The same report again and again within minutes: an incident, which closes after an hour without more."""
        said = {**self._item(collection="tickets"), "text": self._text()}
        for _ in range(self._chance.choice((7, 9))):
            self._ms += 5000
            self._items[-1]["collection"] = "tickets"
            self._add("item.upsert", {**said, "id": self._items[-1]["id"]})
            self._items.append({"id": f"T-{len(self._log)}", "collection": "tickets"})
        self._items.pop()

    def _visit(self) -> None:
        """A user, or an anonymous session, uses items; each command has a key, so that it has an outcome."""
        whose = self._user()
        if self._chance.random() < 0.4:
            whose["session"] = f"s{self._chance.randrange(3)}"
            if self._chance.random() < 0.5:
                del whose["user"]
        for _ in range(self._chance.choice((1, 3))):
            item = self._known()["id"] if self._chance.random() < 0.8 else f"unknown {self._chance.randrange(3)}"
            kind = self._chance.choice(("view", "buy", "dismiss"))
            self._add("interaction.recorded", {**whose, "item": item, "kind": kind}, key=f"visit {len(self._log)}")

    def _leave(self) -> None:
        """A visitor logs in and is erased; of what came before, no outcome is kept."""
        user, session = {"user": "u gone"}, {"session": "s gone"}
        for whose in (user, session):
            used = {**whose, "collection": "tickets", "item": self._items[-1]["id"], "kind": "buy"}
            self._add("interaction.recorded", used, key=f"visit {len(self._log)}")
        self._add("user.merged", {**user, **session, "collection": "tickets"})
        self._repeats += OF_THE_ERASED
        self._add("user.erased", {**user, "collection": "tickets"})

    def _shown(self) -> None:
        """A list is shown, and used; each command has a key, so that it has an outcome."""
        whose, id_ = self._user(), f"list {self._chance.randrange(6)}"
        items = list(dict.fromkeys(self._known()["id"] for _ in range(4)))
        shown = {**whose, "recommendation_id": id_, "items": items}
        self._add("recommendation.shown", shown, key=f"shown {len(self._log)}")
        used = {**whose, "item": self._chance.choice(items), "kind": "buy"}
        self._add("interaction.recorded", used, key=f"visit {len(self._log)}")

    def _add(self, type_: str, data: Mapping[str, Any] | bytes, **fields: str) -> None:
        self._append(type_, data if isinstance(data, bytes) else json.dumps(data), **fields)

    def _append(self, type_: str, data: str | bytes, **fields: str) -> None:
        self._ms += self._chance.choice((0, 1, 7, 100))
        last = self._log[-1][0] if self._log else EntryId(0, 0)
        self._log.append((last.next_at(self._ms), {"type": type_, "data": data, **fields}))
