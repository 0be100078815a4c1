"""What a text or a message may cost: bounded by its size, whatever stands in it. Counted, not timed."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest

from recommender.items import EntryId, Malformed, commands, decode_entry, limits
from recommender.items.marks import MOST_MARKS, legible
from recommender.matching import terms
from recommender.text import clean, fingerprint
from tests.support.engine import Log, data_of, opened

PLACE = EntryId(1_700_000_000_000, 0)
MARKS = "\u0316\u0301\u0327\u0338"  # of different classes, so that normalising has to put them in order


def longest_run(text: str) -> int:
    """Most marks on one letter."""
    longest = run = 0
    for character in text:
        run = run + 1 if unicodedata.combining(character) else 0
        longest = max(longest, run)
    return longest


@pytest.fixture
def normalised(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """For each text that is normalised, the most marks on one letter: the time goes by its square."""
    runs: list[int] = []
    original = unicodedata.normalize

    def counted(form: Any, text: str) -> str:
        runs.append(longest_run(text))
        return original(form, text)

    monkeypatch.setattr(unicodedata, "normalize", counted)
    return runs


@pytest.mark.parametrize(
    "text",
    ["a" + MARKS * 12_000, "a" + "\u0301" * 48_000, "word " + MARKS * 11_000 + " word", ("\u200b" + MARKS * 5) * 2_000],
    ids=["in no order", "of one kind", "between words", "between invisible characters"],
)
def test_no_letter_is_normalised_with_thousands_of_marks(normalised: list[int], text: str) -> None:
    cleaned = clean(text)
    fingerprint(cleaned)
    terms.terms_of(text)
    assert len(normalised) >= 4
    assert max(normalised) <= MOST_MARKS
    assert clean(cleaned) == cleaned


def test_a_letter_may_carry_what_anybody_writes() -> None:
    assert legible("e\u0301" + MARKS * 7) == "e\u0301" + MARKS * 7
    assert legible("plain") == "plain"
    assert legible("e" + "\u0301" * 40 + "x\u0301") == "e" + "\u0301" * 30 + "x\u0301"


@pytest.mark.parametrize("size", [limits.MAX_MESSAGE_BYTES + 1, 10 * 1024 * 1024])
def test_what_is_too_large_is_not_parsed(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(commands.json, "loads", lambda *_, **__: pytest.fail("it is parsed"))
    entry = decode_entry(PLACE, "item.upsert", b'{"id":"a","text":"' + b"x" * size + b'"}')
    assert isinstance(entry.command, Malformed)
    assert entry.command.error.code == "too_large"
    assert len(entry.command.payload) == limits.MAX_MESSAGE_BYTES


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"id":"a","attributes":{"b":['])
def test_what_is_too_deep_is_not_walked_through(opening: bytes) -> None:
    entry = decode_entry(PLACE, "item.upsert", opening * (limits.MAX_MESSAGE_BYTES // len(opening)))
    assert isinstance(entry.command, Malformed)
    assert entry.command.error.code == "too_deep"


@pytest.mark.parametrize(
    "text",
    ["x" * 96_000, "1." * 48_000, "A-" * 48_000, "\ufdfa" * 32_000, "a" + MARKS * 11_900, "\U0001f469\u200d" * 13_000],
    ids=["no space", "digits and points", "capitals and hyphens", "ligatures", "marks", "joiners"],
)
def test_a_text_of_the_largest_size_is_decided_like_any_other(text: str) -> None:
    log, engine = Log(), opened()
    said = json.dumps({"id": "odd", "text": text}, ensure_ascii=False).encode()
    outcome, *_ = engine.process([log.add("item.upsert", said), log.upsert("good", "goes on")])
    assert data_of(outcome)["band"] == "new"
    engine.close()
