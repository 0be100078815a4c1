"""Interactions: batches make no difference, users can be merged and erased, and what is stored has bounds."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from recommender_engine import Entry, Recommender
from recommender_engine.items import (
    CollectionConfigured,
    CommandRejected,
    InteractionAccepted,
    UserErased,
    UserMerged,
    limits,
)
from recommender_engine.items.collection import INTERACTION_WEIGHTS
from recommender_engine.recommend.behaviour import rows as behaviour_rows
from recommender_engine.store import behaviour as behaviour_table
from recommender_engine.store import behaviour_rows as behaviour_row_table
from tests.support.engine import Log, opened, outbox_lines

DAY_MS = 24 * 3600 * 1000
TABLES = (
    *("users", "used_items", "sessions", "session_rings", "interactions", "behaviour_redo", "keys"),
    *("shown_lists", "hit_rates", "list_weights"),
)


def rows_of(engine: Recommender, *tables: str) -> list[Any]:
    """All rows of the tables."""
    db = engine._store._db
    return [db.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables or TABLES]


def played(entries: Sequence[Entry], size: int) -> Recommender:
    engine = opened()
    for start in range(0, len(entries), size):
        engine.process(entries[start : start + size])
    return engine


def interact(log: Log, item: str, user: str | None = None, **fields: Any) -> Entry:
    return log.add("interaction.recorded", data={"item": item, **({"user": user} if user else {}), **fields})


def traffic(seed: int, count: int) -> list[Entry]:
    """Interactions of a few users with a few items, among arrivals, departures, merges and erasures."""
    random, log = Random(seed), Log()
    entries = [log.configure(min_length=limits.MAX_TEXT_BYTES)]  # no two are duplicates, whose pairs are not judged
    for n in range(count):
        item, user = f"i{random.randrange(30)}", f"u{random.randrange(6)}"
        later = random.choice((1, 1000, 60_000, 4_000_000, DAY_MS))
        roll = random.random()
        if roll < 0.12:
            entries.append(log.upsert(item, f"blue mug number {item}", later_ms=later))
        elif roll < 0.15:
            entries.append(log.delete(item, later_ms=later))
        elif roll < 0.17:
            entries.append(log.add("user.merged", user=user, session=f"s{random.randrange(6)}"))
        elif roll < 0.18:
            entries.append(log.add("user.erased", user=user))
        else:
            whose = {"user": user} if random.random() < 0.7 else {"session": f"s{random.randrange(6)}"}
            if random.random() < 0.2:
                items = [f"i{random.randrange(30)}" for _ in range(4)]
                shown = {"recommendation_id": f"r{random.randrange(40)}", "items": list(dict.fromkeys(items)), **whose}
                entries.append(log.add("recommendation.shown", data=shown, later_ms=later))
                continue
            kind = random.choice(("view", "add", "buy", "dismiss"))
            key = f"k{n}" if random.random() < 0.3 else None
            named = {"recommendation_id": f"r{random.randrange(40)}"} if random.random() < 0.2 else {}
            data = {"item": item, "kind": kind, **whose, **named}
            entries.append(log.add("interaction.recorded", data=data, key=key, later_ms=later))
    return entries


@pytest.fixture
def small_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds that a short stream reaches."""
    monkeypatch.setattr(behaviour_rows, "MOST_PARTNERS", 8)
    monkeypatch.setattr(behaviour_rows, "KEPT_PARTNERS", 5)
    monkeypatch.setattr(behaviour_rows, "MOST_IN_PROFILE", 6)
    monkeypatch.setattr("recommender_engine.recommend.behaviour.learning.RING", 3)
    monkeypatch.setattr("recommender_engine.recommend.behaviour.learning.MOST_IN_SESSION", 4)
    monkeypatch.setattr(behaviour_table, "MOST_WAITING", 5)
    monkeypatch.setattr("recommender_engine.pipeline.interactions.judging.LEAST_CONTROLS", 3)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("kept", "write_after"), [(1, 8192), (8192, 8192), (1, 5), (8192, 5)])
def test_batches_make_no_difference(
    seed: int, kept: int, write_after: int, monkeypatch: pytest.MonkeyPatch, small_lists: None
) -> None:
    for module in (behaviour_table, behaviour_row_table):
        monkeypatch.setattr(module, "_ROWS_KEPT", kept)  # with 1, rows are read from the disk again and again
    monkeypatch.setattr(behaviour_row_table, "WRITE_AFTER", write_after)
    entries = traffic(seed, 400)
    one = played(entries, 1)
    record = one._store.list_weights.of(1)
    assert record is not None
    assert record.judged, "blends are judged, too"
    for size in (7, 500):
        other = played(entries, size)
        assert rows_of(other) == rows_of(one)
        assert outbox_lines(other) == outbox_lines(one)


@pytest.mark.parametrize("seed", range(3))
def test_what_was_not_written_is_learned_again(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_lists: None
) -> None:
    monkeypatch.setattr(behaviour_row_table, "WRITE_AFTER", 50)
    entries = traffic(seed, 400)
    undisturbed = played(entries, 7)
    engine = opened(tmp_path)
    for start in range(0, len(entries), 7):
        if start % 3 == 0:  # as after a kill: nothing is written when a state is closed
            engine.close()
            engine = opened(tmp_path)
        if start % 2 == 0:  # as after a full disk
            with pytest.raises(RuntimeError, match="no"):
                fail(engine, entries[start : start + 7])
        engine.process(entries[start : start + 7])
    assert len(rows_of(engine, "behaviour_redo")[0]) > 0
    assert rows_of(engine) == rows_of(undisturbed)
    for one in (engine, undisturbed):
        one._store.behaviour.write()
    assert rows_of(engine, "behaviour_redo") == [[]]
    assert rows_of(engine) == rows_of(undisturbed)
    engine.close()


def read(engine: Recommender) -> list[Any]:
    """All that lists read of behaviour."""
    behaviour, db = engine._store.behaviour, engine._store._db
    nums = [num for (num,) in db.execute("SELECT num FROM used_items")]
    users = [num for (num,) in db.execute("SELECT num FROM users")]
    rings = behaviour.rings_of(nums)
    sessions = sorted({int(one) for ring in rings.values() for one in ring})
    arrays = (
        {num: row[1:] for num, row in behaviour.partners(nums).items()},
        {num: (ring, behaviour.users_of(ring)) for num, ring in rings.items()},
        behaviour.session_items(sessions),
        behaviour.profile_weights(users),
    )
    return [
        dict(sorted(behaviour.used_items(nums).items())),
        behaviour.named(1, [f"i{n}" for n in range(30)]),
        *(behaviour.most(1, column, 5, offset) for column in ("popular", "trending") for offset in (0, 3)),
        *({num: [np.asarray(one).tolist() for one in row] for num, row in sorted(rows.items())} for rows in arrays),
    ]


def test_what_is_read_is_the_same_before_and_after_rows_are_written(small_lists: None) -> None:
    engine = played(traffic(11, 300), 50)
    engine.process([interact(Log(start_ms=engine._store.clock_ms + 1), "i1", "u1")])
    before = read(engine)
    assert engine._store.behaviour.rows.used_items(1)
    engine._store.behaviour.write()
    assert read(engine) == before
    engine._store.behaviour.forget()  # from the tables
    assert read(engine) == before


def test_what_is_kept_in_memory_is_as_in_the_tables(small_lists: None) -> None:
    entries = traffic(13, 400)
    engine, other = opened(), opened()
    for start in range(0, len(entries), 8):
        for one in (engine, other):
            one.process(entries[start : start + 8])
        other._store.behaviour.forget()
        assert read(engine) == read(other)
    assert len(engine._store.behaviour.most(1, "popular", 5)) == 5


def fail(engine: Recommender, entries: Sequence[Entry]) -> None:
    """Process a batch that cannot be committed."""
    engine._before_commit = lambda: (_ for _ in ()).throw(RuntimeError("no"))  # type: ignore[assignment]
    try:
        engine.process(entries)
    finally:
        engine._before_commit = lambda: None


def test_what_is_kept_has_bounds(small_lists: None) -> None:
    engine = played(traffic(7, 1500), 50)
    assert engine._store._db.execute("SELECT count(*) FROM used_items WHERE waiting").fetchone()[0] <= 5
    for (num,) in engine._store._db.execute("SELECT num FROM used_items"):
        row = engine._store.behaviour.rows.item(num)
        assert row is not None
        assert len(row.partners) <= 8
        assert len(row.ring) <= 3
    for (num,) in engine._store._db.execute("SELECT num FROM users"):
        profile = engine._store.behaviour.rows.profile(num)
        assert profile is not None
        assert len(profile.items) <= 6
    engine._store.behaviour.write()
    rings = engine._store._db.execute("SELECT min(rings) FROM sessions JOIN session_rings ON session = num").fetchone()[
        0
    ]
    assert rings >= 1, "a session that no item knows has gone"


def test_a_failed_batch_leaves_nothing() -> None:
    log, engine = Log(), opened()
    engine.process([log.upsert("a", "blue mug"), interact(log, "a", "u"), interact(log, "b", "u")])
    before = rows_of(engine)
    entries = [interact(log, "a", "v"), interact(log, "c", "u")]
    engine._before_commit = lambda: (_ for _ in ()).throw(RuntimeError("no"))  # type: ignore[assignment]
    with pytest.raises(RuntimeError):
        engine.process(entries)
    assert rows_of(engine) == before
    engine._before_commit = lambda: None
    engine.process(entries)
    other = opened()
    other_log = Log()
    other.process([other_log.upsert("a", "blue mug"), interact(other_log, "a", "u"), interact(other_log, "b", "u")])
    other.process([interact(other_log, "a", "v"), interact(other_log, "c", "u")])
    assert rows_of(engine) == rows_of(other)


def test_items_used_together_are_partners() -> None:
    log, engine = Log(), opened()
    for user in ("u", "v"):
        engine.process([interact(log, item, user, kind="buy") for item in ("cup", "saucer", "spoon")])
        log.add("clock.ticked", later_ms=2 * 3600 * 1000)
    engine.process([interact(log, "nail", "w"), interact(log, "hammer", "w")])
    behaviour = engine._store.behaviour
    cup = behaviour.used_item(1, "cup")
    assert cup is not None
    row = behaviour.rows.item(cup)
    assert row is not None
    ids = {one.id for one in behaviour.used_items(row.partners).values()}
    assert ids <= {"saucer", "spoon"}  # those that wait are not given; none is here
    engine.process([log.upsert("saucer", "a saucer"), log.upsert("hammer", "a hammer")])
    assert {one.id for one in behaviour.used_items(row.partners).values()} == {"saucer"}


def test_a_pause_of_an_hour_ends_a_session_and_so_does_another_visit() -> None:
    log, engine = Log(), opened()
    engine.process(
        [
            interact(log, "a", "u"),
            log.add("interaction.recorded", data={"item": "b", "user": "u"}, later_ms=3600 * 1000 + 1),
            interact(log, "c", "u", session="visit 2"),
            interact(log, "d", "u", session="visit 2"),
        ]
    )
    assert _sessions(engine) == 3
    behaviour = engine._store.behaviour
    partners = {}
    for id_ in "abcd":
        num = behaviour.used_item(1, id_)
        assert num is not None
        row = behaviour.rows.item(num)
        assert row is not None
        partners[id_] = len(row.partners)
    assert partners == {"a": 0, "b": 0, "c": 1, "d": 1}


def test_a_repeat_under_the_same_key_counts_once() -> None:
    log, engine = Log(), opened()
    first = log.add("interaction.recorded", data={"item": "a", "user": "u"}, key="k")
    again = log.add("interaction.recorded", data={"item": "a", "user": "u"}, key="k", reply_to="task")
    engine.process([first, again])
    assert engine._store._db.execute("SELECT count(*) FROM interactions").fetchone()[0] == 1
    (reply,) = engine._store.outbox.replies(0, 10)
    assert json.loads(reply.outcome.event)["type"] == InteractionAccepted.type


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({}, "invalid_value", None),
        ({"user": "u", "kind": "sniff"}, "unknown_kind", "kind"),
        ({"user": "u", "kind": "rate"}, "missing_field", "value"),
        ({"user": "u", "time": "yesterday"}, "invalid_value", "time"),
        ({"user": "u", "value": "5"}, "wrong_type", "value"),
        ({"user": "", "kind": "view"}, "invalid_value", "user"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], code: str, field: str | None) -> None:
    log, engine = Log(), opened()
    (event,) = engine.process([log.add("interaction.recorded", data={"item": "a", **fields})])
    assert isinstance(event.data, CommandRejected)
    assert (event.data.code, event.data.field) == (code, field)
    assert not rows_of(engine, "interactions")[0]


def test_a_collection_has_kinds_of_its_own_beside_the_defaults() -> None:
    log, engine = Log(), opened()
    engine.process(
        [log.configure(interaction_weights={"borrow": 5.0, "view": 0.5}), interact(log, "a", "u", kind="borrow")]
    )
    engine.process([interact(log, "b", "u", kind="buy")])
    weights = {row.id: row.total for row in engine._store.behaviour.named(1, ["a", "b"]).values()}
    assert weights["a"] > weights["b"]


def test_a_low_rating_and_a_dismissal_say_no() -> None:
    log, engine = Log(), opened()
    engine.process(
        [
            interact(log, "a", "u", kind="rate", value=2.0),
            interact(log, "b", "u", kind="rate", value=5.0),
            interact(log, "c", "u", kind="dismiss"),
            interact(log, "d", "u"),
            interact(log, "d", "u", kind="dismiss"),
            interact(log, "e", "u", kind="dismiss"),
            interact(log, "e", "u", kind="view"),
        ]
    )
    behaviour = engine._store.behaviour
    user = behaviour.user(1, behaviour_table.UserKey("u", anonymous=False))
    assert user is not None
    profile = behaviour.rows.profile(user)
    assert profile is not None
    nums = {id_: behaviour.used_item(1, id_) for id_ in "abcde"}
    dismissed = {id_ for id_, num in nums.items() if num is not None and profile.items[num].dismissed}
    assert dismissed == {"a", "c", "d"}


def test_of_a_kind_that_weighs_nothing_nothing_is_learned() -> None:
    log, engine = Log(), opened()
    weights = {"view": 0.0, "rate": -2.0}
    engine.process([log.configure(interaction_weights=weights), *(log.upsert(id_, f"{id_} mug") for id_ in "abc")])
    engine.process([interact(log, "a", "u"), interact(log, "b", "u", kind="rate", value=1.0)])
    listed = engine.recommendations({"user": "u"})
    assert listed is not None
    assert {one.id for one in listed} == {"a", "c"}
    assert len(rows_of(engine, "interactions")[0]) == 2
    assert engine._store._db.execute("SELECT count(*) FROM sessions").fetchone() == (0,)


def test_kinds_are_counted_with_the_defaults_so_that_a_state_opens_again(tmp_path: Path) -> None:
    log, engine = Log(), opened(tmp_path)
    free = limits.MAX_RULES - len(INTERACTION_WEIGHTS)
    (taken,) = engine.process([log.configure(interaction_weights={f"kind {n}": 1.0 for n in range(free)})])
    (rejected,) = engine.process([log.configure(interaction_weights={f"kind {n}": 1.0 for n in range(free + 1)})])
    assert isinstance(taken.data, CollectionConfigured)
    assert isinstance(rejected.data, CommandRejected)
    assert rejected.data.field == "settings.interaction_weights"
    engine.close()
    with closing(opened(tmp_path)) as again:
        assert not again.process([interact(log, "a", "u", kind=f"kind {free - 1}")])


@pytest.mark.parametrize("ms", [2**32 * 1000, 253_402_300_799_000])
def test_interactions_are_learned_in_any_year(ms: int) -> None:
    log, engine = Log(ms), opened()
    engine.process([log.upsert("a", "blue mug"), log.upsert("b", "red carpet"), interact(log, "a", "u")])
    engine.process([interact(log, "b", "u"), interact(log, "a", "u", kind="buy")])
    listed = engine.recommendations({"user": "u", "known": "keep"})
    assert listed is not None
    assert [one.id for one in listed] == ["a", "b"]


def test_a_dismissal_outlasts_later_interactions_in_a_full_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behaviour_rows, "MOST_IN_PROFILE", 8)
    log, engine = Log(), opened()
    engine.process([log.upsert(f"i{n}", f"mug number {n}") for n in range(40)])
    for user, session in (("u", None), ("v", "s")):
        whose = {"user": user} if session is None else {"session": session}
        before = [interact(log, f"i{n}", user, kind="buy") for n in range(8)]
        dismissed = [interact(log, f"i{n}", kind="dismiss", **whose) for n in range(30, 34)]
        later = [interact(log, f"i{n}", kind="buy", **whose) for n in range(10, 20)]
        merged = [] if session is None else [log.add("user.merged", user=user, session=session)]
        engine.process([*before, *dismissed, *later, *merged])
        assert _dismissed(engine, user) == {"i30", "i31", "i32", "i33"}
    engine.process([interact(log, f"i{n}", "u", kind="dismiss") for n in range(20, 30)])
    assert _dismissed(engine, "u") == {"i25", "i26", "i27", "i28", "i29"}


def _dismissed(engine: Recommender, user: str) -> set[str]:
    behaviour = engine._store.behaviour
    num = behaviour.user(1, behaviour_table.UserKey(user, anonymous=False))
    profile = None if num is None else behaviour.peek(num)
    assert profile is not None
    assert len(profile.items) <= behaviour_rows.MOST_IN_PROFILE
    return set(behaviour.ids([num for num, one in profile.items.items() if one.dismissed]))


def test_a_session_becomes_a_user_at_log_in() -> None:
    log, engine = Log(), opened()
    engine.process([interact(log, "a", session="s"), interact(log, "b", session="s"), interact(log, "c", "u")])
    (merged,) = engine.process([log.add("user.merged", user="u", session="s")])
    assert isinstance(merged.data, UserMerged)
    assert merged.data.merged
    behaviour = engine._store.behaviour
    assert behaviour.user(1, behaviour_table.UserKey("s", anonymous=True)) is None
    user = behaviour.user(1, behaviour_table.UserKey("u", anonymous=False))
    assert user is not None
    profile = behaviour.rows.profile(user)
    assert profile is not None
    assert len(profile.items) == 3
    (again,) = engine.process([log.add("user.merged", user="u", session="s")])
    assert isinstance(again.data, UserMerged)
    assert not again.data.merged


def test_an_erased_user_is_in_no_table() -> None:
    log, engine = Log(), opened()
    engine.process(
        [
            log.add("interaction.recorded", data={"item": "a", "user": "Ms Unusual"}, key="Ms Unusual bought a"),
            interact(log, "b", "Ms Unusual", session="visit of Ms Unusual"),
            interact(log, "a", session="visit of Ms Unusual"),
            interact(log, "a", "other"),
        ]
    )
    assert "Unusual" in dump(engine)
    (one,) = engine.process([log.add("user.erased", user="Ms Unusual")])
    (two,) = engine.process([log.add("user.erased", session="visit of Ms Unusual")])
    assert isinstance(one.data, UserErased)
    assert isinstance(two.data, UserErased)
    assert (one.data.interactions, two.data.interactions) == (2, 1)
    assert "Unusual" not in dump(engine)
    assert engine._store._db.execute("SELECT count(*) FROM users").fetchone()[0] == 1
    assert engine._store._db.execute("SELECT count(*) FROM interactions").fetchone()[0] == 1


@pytest.mark.parametrize(
    "message",
    [
        b'{"item": "a", "user": "Ms Unusual", "kind": "sniff"}',
        b'{"session": "Ms Unusual", "kind": "rate", "item": "a", "value": 1, "more": ' + b"[]" * 5000 + b"}",
        b'{"item": "a", "user": "Ms Unusual", "k',
        b'[{"item": "b"}, {"user":"Ms\\u0020Unusual", "item": "a", "collection": "default"}]',
        b'{"body": "{\\"item\\": \\"a\\", \\"user\\": \\"Ms Unusual\\"}"}',
        b"{'argsrepr': \"{'user': 'Ms Unusual'}\", 'n': \xff}",
    ],
)
def test_an_erased_user_is_in_no_rejected_message(message: bytes) -> None:
    log, engine = Log(), opened()
    (event,) = engine.process([log.add("interaction.recorded", message, key="k")])
    assert isinstance(event.data, CommandRejected)
    assert "Unusual" in dump(engine)
    (other,) = engine.process([log.add("interaction.recorded", message.replace(b"Unusual", b"Usual"))])
    engine.process([log.add("user.erased", user="Ms Unusual")])
    assert "Unusual" not in dump(engine)
    assert engine.outbox.redactions() == [event.id], "it leaves the stream and the dead letters"
    assert engine._store.outbox.get(other.id) is not None
    assert engine._store._db.execute("SELECT user FROM mentions").fetchall() == [("Ms Usual",)]


def _encoded(name: str) -> dict[str, bytes]:
    """Messages of Celery that name a user, as they come through a broker."""
    fields = {"item": "a", "user": name, "collection": "default"}
    plain = json.dumps([[fields], {}, {}]).encode()
    body = b64encode(plain)
    strings = [text.encode() for pair in fields.items() for text in pair]
    packed = b"\x91\x83" + b"".join(bytes([0xA0 + len(text)]) + text for text in strings)
    # As pickle writes them, which the package never reads.
    old = b"\x80\x02}q\x00(" + b"".join(
        b"X" + len(text).to_bytes(4, "little") + text + b"q" + bytes([n]) for n, text in enumerate(strings, 1)
    )
    new = b"\x80\x05\x95}\x94(" + b"".join(b"\x8c" + bytes([len(text)]) + text + b"\x94" for text in strings)
    return {
        "Base64": b'{"body": "' + body + b'", "headers": {}}',
        "cut off": b'{"body": "' + body[:-6],
        "URL-safe": b'{"body": "' + urlsafe_b64encode(plain) + b'"}',
        "twice": b'{"body": "' + b64encode(b'{"payload": "' + body + b'"}') + b'"}',
        "pickle 5": b'{"body": "' + b64encode(new + b"u.") + b'"}',
        "pickle 2": old + b"u.",
        "MessagePack": b'{"body": "' + b64encode(packed) + b'"}',
    }


@pytest.mark.parametrize("form", _encoded(""))
def test_an_erased_user_is_in_no_rejected_message_in_another_form(form: str) -> None:
    log, engine = Log(), opened()
    one, other = (_encoded(name)[form] for name in ("Ms Unusual", "Ms Usual"))
    engine.process([log.add("interaction.recorded", one, key="k"), log.add("interaction.recorded", other)])
    engine.process([log.add("user.erased", user="Ms Unusual")])
    assert len(engine.outbox.redactions()) == 1
    assert engine._store._db.execute("SELECT user FROM mentions").fetchall() == [("Ms Usual",)]
    assert engine.outcome("k") is None


@pytest.mark.parametrize(
    ("user", "key", "kept"),
    [
        ("Ms Unusual", "Ms Unusual", False),
        ("Ms Unusual", "erase:Ms Unusual:1", False),
        ("unusual", "eraseunusual1", False),
        ("7", "erase-7", False),
        ("7", "erase-2026-0007", True),
        ("Ms Unusual", "a key of its own", True),
    ],
)
def test_the_key_of_an_erasure_is_not_kept_where_it_names_the_user(user: str, key: str, kept: bool) -> None:
    log, engine = Log(), opened()
    (event,) = engine.process([log.add("user.erased", {"user": user}, key=key)])
    assert event.data.command.key == (key if kept else None)
    assert (key in dump(engine)) is kept
    (again,) = engine.process([log.add("user.erased", {"user": user}, key="another")])
    assert isinstance(again.data, UserErased)


@pytest.mark.parametrize("name", ["user", "session", "collection"])
def test_half_of_a_surrogate_pair_in_a_name_costs_its_message(name: str) -> None:
    log, engine = Log(), opened()
    fields = json.dumps({"item": "a", "user": "u", name: "\ud800"}).encode()
    rejected, _ = engine.process([log.add("interaction.recorded", fields), log.upsert("a", "blue mug")])
    assert isinstance(rejected.data, CommandRejected)
    assert rejected.data.code == "not_unicode"


def test_an_erased_user_is_in_no_copy_of_a_deleted_collection_and_under_no_key() -> None:
    log, engine = Log(), opened()
    engine.process([log.add("interaction.recorded", {"item": "a", "user": "Ms Unusual", "collection": "c"}, key="k")])
    engine.process([log.add("user.merged", {"user": "Ms Unusual", "session": "s", "collection": "c"}, key="Unusual")])
    engine.process([log.add("collection.deleted", {"collection": "c"})])
    assert "Unusual" in dump(engine)
    engine.process([log.add("user.erased", {"user": "Ms Unusual", "collection": "c"}, key="e")])
    assert "Unusual" not in dump(engine)
    digests = engine._store._db.execute("SELECT key, digest FROM keys").fetchall()
    assert digests == [("e", b"")], "no hash of the name either"


def dump(engine: Recommender) -> str:
    """Everything in the database, as text."""
    db = engine._store._db
    tables = [
        name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type='table' AND sql NOT LIKE '%VIRTUAL%'")
    ]
    return repr([db.execute(f"SELECT * FROM {table}").fetchall() for table in tables])


def test_a_robot_does_not_count() -> None:
    log, engine = Log(), opened()
    engine.process([interact(log, f"i{n % 3}", "robot", session=f"v{n}") for n in range(600)])
    used = engine._store.behaviour.named(1, ["i0", "i1", "i2"])
    assert sum(one.uses for one in used.values()) == 500


def test_a_robot_that_names_one_day_after_the_other_does_not_count() -> None:
    log, engine = Log(), opened()
    days = ["2023-11-12T10:00:00Z", "2023-11-11T10:00:00Z"]
    sent = [interact(log, f"i{n % 3}", "robot", session=f"v{n}", time=days[n % 2]) for n in range(1_200)]
    engine.process(sent)
    used = engine._store.behaviour.named(1, ["i0", "i1", "i2"])
    assert sum(one.uses for one in used.values()) == 500


def test_a_robot_does_not_begin_anew_where_its_visit_becomes_a_user() -> None:
    log, engine = Log(), opened()
    engine.process([interact(log, "a", "robot", time="2023-11-01T10:00:00Z")])
    engine.process([interact(log, f"i{n % 3}", session="robot") for n in range(400)])
    engine.process([log.add("user.merged", {"user": "robot", "session": "robot"})])
    engine.process([interact(log, f"j{n}", "robot") for n in range(400)])
    used = engine._store.behaviour.named(1, [f"j{n}" for n in range(400)])
    assert sum(one.uses for one in used.values()) == 100


def _steps(engine: Recommender, entry: Entry) -> int:
    """Instructions that the database runs for one command."""
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    engine._store._db.set_progress_handler(step, 1)
    try:
        engine.process([entry])
    finally:
        engine._store._db.set_progress_handler(None, 1)
    return count


def test_an_item_more_that_waits_costs_the_same_however_many_do() -> None:
    log, engine = Log(), opened()
    engine.process([interact(log, f"few {n}", "u") for n in range(10)])
    few = _steps(engine, interact(log, "one more", "u"))
    engine.process([interact(log, f"many {n}", f"v{n}") for n in range(1_100)])
    waiting = engine._store._db.execute("SELECT count(*) FROM used_items WHERE waiting").fetchone()[0]
    assert 900 <= waiting <= 1_000
    # One goes for it, with the session and the ring that it was in.
    assert _steps(engine, interact(log, "another", "u")) < few + 1_000


def test_what_waits_is_counted_through_arrivals_deletions_and_rollbacks(
    monkeypatch: pytest.MonkeyPatch, small_lists: None
) -> None:
    log, engine = Log(), opened()

    def waiting() -> list[str]:
        return [id_ for (id_,) in engine._store._db.execute("SELECT id FROM used_items WHERE waiting ORDER BY num")]

    engine.process([interact(log, f"w{n}", "u") for n in range(5)])
    engine.process([log.upsert("w1", "red mug"), log.upsert("w3", "blue lamp"), log.delete("w3")])
    assert waiting() == ["w0", "w2", "w4"]
    more = [interact(log, f"x{n}", "u") for n in range(2)]
    with monkeypatch.context() as broken:
        broken.setattr(engine, "_before_commit", _fail)
        with pytest.raises(OSError, match="the lease is lost"):
            engine.process(more)
    engine.process(more)
    assert waiting() == ["w0", "w2", "w4", "x0", "x1"]
    engine.process([interact(log, "x2", "u")])
    assert waiting() == ["w2", "w4", "x0", "x1", "x2"]


def _fail() -> None:
    raise OSError("the lease is lost")


def test_a_deleted_item_leaves_and_a_changed_one_keeps_what_is_known_of_it() -> None:
    log, engine = Log(), opened()
    engine.process([log.upsert("a", "blue mug"), interact(log, "a", "u"), log.upsert("b", "red mug")])
    engine.process([log.upsert("a", "a mug that is blue and large"), interact(log, "b", "u")])
    assert engine._store.behaviour.named(1, ["a"])["a"].uses == 1
    engine.process([log.delete("a")])
    assert engine._store.behaviour.used_item(1, "a") is None
    engine.process([interact(log, "a", "v")])
    assert engine._store._db.execute("SELECT waiting FROM used_items WHERE id='a'").fetchone()[0] == 1


@pytest.mark.parametrize("size", [1, 50])
def test_a_session_goes_with_the_last_item_that_knows_it(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behaviour_table, "MOST_WAITING", 5)
    monkeypatch.setattr("recommender_engine.pipeline.interactions.judging.LEAST_CONTROLS", 3)
    log = Log()
    arrived = [log.upsert(id_, f"{id_} mug") for id_ in ("a", "b")]
    used = [interact(log, item, session=f"of {item} {n}") for n in range(20) for item in ("a", "b", f"waits {n}")]
    both = [interact(log, item, session="of both") for item in ("a", "b")]
    engine = played([*arrived, *used, *both], size)
    assert _sessions(engine) == 20 + 20 + 5 + 1
    engine.process([log.delete("a")])
    assert _sessions(engine) == 20 + 5 + 1
    engine.process([log.erase("b")])
    assert _sessions(engine) == 5
    (rings,) = rows_of(engine, "session_rings")
    assert [count for _, count in rings] == [1] * 5


def _sessions(engine: Recommender) -> int:
    engine._store.behaviour.write()
    return int(engine._store._db.execute("SELECT count(*) FROM sessions").fetchone()[0])


def test_a_rate_limits_interactions_and_merges_and_no_erasure() -> None:
    log, engine = Log(), opened()
    engine.process([log.configure(commands_per_second=1.0, burst=1)])
    events = engine.process(
        [
            interact(log, "a", "u"),
            interact(log, "b", "u"),
            log.add("user.merged", user="u", session="s"),
            log.add("user.erased", user="u"),
        ]
    )
    codes = [event.data.code if isinstance(event.data, CommandRejected) else type(event.data) for event in events]
    assert codes == ["rate_limited", "rate_limited", UserErased]
    assert "'u'" not in dump(engine).replace('"', "'")
