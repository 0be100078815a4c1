"""The bisection of a batch for messages that end a process, with real processes."""

from __future__ import annotations

import contextlib
import json
import threading
from pathlib import Path

import pytest

from celery_recommender.broker.coordination.proofs import Secrets
from celery_recommender.broker.redis.ranges import Fields
from celery_recommender.owner.poison.bisection import Bisection, Inconclusive
from celery_recommender.owner.poison.isolated_run import TrialSetup
from celery_recommender.owner.poison.isolation import copied
from recommender_engine.errors import StateFull
from recommender_engine.items import CollectionSettings, EntryId
from tests.support import poison
from tests.support.encoders import FixedEncoders
from tests.support.engine import Log, Models, opened
from tests.support.poison import PoisonEncoders
from tests.support.streams import KEYS

SETTINGS = {"default": CollectionSettings()}


def batch(texts: list[str]) -> list[tuple[EntryId, Fields]]:
    return [
        (EntryId(1000, place), {b"data": json.dumps({"id": str(place), "text": text}).encode()})
        for place, text in enumerate(texts)
    ]


def culprits(encoders: object, raw: list[tuple[EntryId, Fields]], state: Path | None = None) -> dict[EntryId, str]:
    ground = TrialSetup(encoders, SETTINGS, Secrets(KEYS.commands), raw, "default", 100, state)  # type: ignore[arg-type]
    return Bisection(ground, 60.0, lambda messages: 3.0).find()


def test_it_finds_each_culprit_among_many() -> None:
    texts = [f"neighbour {place}" for place in range(40)]
    texts[7], texts[23], texts[24] = poison.KILLS, poison.RAISES, f"one {poison.TOGETHER}"
    found = culprits(PoisonEncoders(), batch(texts))
    assert found == {
        EntryId(1000, 7): "the message alone ended a process with SIGKILL",
        EntryId(1000, 23): "the message alone raised ZeroDivisionError",
    }


def test_what_is_malformed_or_harmless_is_innocent() -> None:
    innocent = [
        *batch(["good"]),
        (EntryId(2000, 0), {b"data": b"\xff"}),
        (EntryId(2000, 1), {b"type": b"clock.ticked"}),
    ]
    assert culprits(FixedEncoders(), innocent) == {}


class _Locked(FixedEncoders):
    """Encoders that cannot travel."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


class _Broken:
    """Encoders that fail in every process, whatever the text."""

    names = FixedEncoders.names

    def encoder(self, name: str) -> object:
        raise OSError("no model")


@pytest.mark.parametrize(
    ("encoders", "says"),
    [(_Locked(), "could be started: cannot pickle"), (_Broken(), "raised OSError on a harmless text")],
)
def test_nothing_is_concluded_where_nothing_works(encoders: object, says: str) -> None:
    with pytest.raises(Inconclusive, match=says):
        culprits(encoders, batch([poison.KILLS]))


# -- beside what is stored ---------------------------------------------------------------------------------------------


def stored(directory: Path, *harm: str) -> list[tuple[EntryId, Fields]]:
    """A state with one item, changed by ``harm``, and what comes next: its erasure among neighbours."""
    engine, log = opened(directory), Log()
    engine.process([log.upsert("x", "the lid is missing")])
    for statement in harm:
        engine._store._db.execute(statement)
    position = engine.position
    engine.close()
    said = [{b"data": json.dumps({"id": f"n{n}", "text": f"neighbour {n}"}).encode()} for n in range(30)]
    said.insert(20, {b"type": b"item.erase", b"data": b'{"id": "x"}'})
    return [(EntryId(position.ms + 1, place), fields) for place, fields in enumerate(said)]


def test_what_harms_only_beside_what_is_stored_is_found(tmp_path: Path) -> None:
    raw = stored(tmp_path, "UPDATE outbox SET event = '{'")
    assert culprits(Models(), raw) == {}
    assert culprits(Models(), raw, tmp_path) == {raw[20][0]: "the message alone raised OperationalError"}


def test_what_ends_a_process_is_found_beside_what_is_stored_as_well(tmp_path: Path) -> None:
    raw = stored(tmp_path)
    raw[7] = (raw[7][0], batch([poison.KILLS])[0][1])
    assert culprits(PoisonEncoders(), raw, tmp_path) == {raw[7][0]: "the message alone ended a process with SIGKILL"}


def test_what_harms_once_others_have_been_decided_is_found(tmp_path: Path) -> None:
    """Each is decided behind those before it, as the owner would."""
    trigger = "CREATE TRIGGER late BEFORE INSERT ON items WHEN NEW.id = 'n9' AND (SELECT count(*) FROM items) > 5 BEGIN"
    raw = stored(tmp_path, f"{trigger} SELECT raise(ABORT, 'of the test'); END")
    assert culprits(Models(), raw, tmp_path) == {raw[9][0]: "the message alone raised IntegrityError"}


def test_a_state_on_which_everything_fails_blames_no_message(tmp_path: Path) -> None:
    raw = stored(tmp_path, "CREATE TRIGGER trap BEFORE INSERT ON outbox BEGIN SELECT raise(ABORT, 'of the test'); END")
    with pytest.raises(Inconclusive, match="raised IntegrityError on a harmless text"):
        culprits(Models(), raw, tmp_path)


def test_a_copy_holds_what_the_state_holds_and_goes_with_the_search(tmp_path: Path) -> None:
    engine, log = opened(tmp_path), Log()
    engine.process([log.upsert("x", "the lid is missing")])
    directory = tmp_path / "examination"
    with copied(engine, directory) as state:
        assert state == directory
        with contextlib.closing(opened(directory)) as copy:
            assert copy.position == engine.position
            assert copy.get("x") == engine.get("x")
            copy.process([log.upsert("y", "of the copy")])
    assert not directory.exists()
    assert engine.get("y") is None
    engine.close()


def test_without_room_for_a_copy_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(directory: Path, size_bytes: int) -> None:
        raise StateFull("no room")

    monkeypatch.setattr("celery_recommender.owner.poison.isolation.require_room", full)
    with contextlib.closing(opened(tmp_path)) as engine, copied(engine, tmp_path / "examination") as state:
        assert state is None
        engine.begin_copy()  # it is held no longer
        engine.end_copy()
