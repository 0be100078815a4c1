"""The search for messages that end a process, with processes of its own."""

from __future__ import annotations

import json
import threading

import pytest

from recommender.items import CollectionSettings, EntryId
from tests.support import poison
from tests.support.encoders import FixedEncoders
from tests.support.poison import PoisonEncoders
from tests.support.streams import KEYS
from workers.broker.proofs import Secrets
from workers.broker.ranges import Fields
from workers.owner.examination import Examiner, Inconclusive

SETTINGS = {"default": CollectionSettings()}


def batch(texts: list[str]) -> list[tuple[EntryId, Fields]]:
    return [
        (EntryId(1000, place), {b"data": json.dumps({"id": str(place), "text": text}).encode()})
        for place, text in enumerate(texts)
    ]


def examiner(encoders: object) -> Examiner:
    return Examiner(encoders, SETTINGS, Secrets(KEYS.commands), 60.0, lambda messages: 3.0)  # type: ignore[arg-type]


def test_it_finds_each_culprit_among_many() -> None:
    texts = [f"neighbour {place}" for place in range(40)]
    texts[7], texts[23], texts[24] = poison.KILLS, poison.RAISES, f"one {poison.TOGETHER}"
    found = examiner(PoisonEncoders()).culprits(batch(texts))
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
    assert examiner(FixedEncoders()).culprits(innocent) == {}


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
        examiner(encoders).culprits(batch([poison.KILLS]))
