"""What is a repeat for certain: everything that an item tells is the same, what was cut of it included."""

from __future__ import annotations

import pytest

from recommender_engine.matching import LearnedMatcher
from tests.support.engine import Log, data_of, is_outcome, opened

SAID = "The lamp that came on Tuesday flickers all the time since then."
BELOW = {
    "quotes": "On Mon, 3 Mar 2025 at 10:00, Ann <a@shop.example> wrote:\n> The {} does not start.\n> What can I do?",
    "Zitate": "Am 3. März 2025 um 10:00 schrieb Anna:\n> Der {} startet nicht mehr.\n> Was kann ich tun?",
    "forwards": "---------- Forwarded message ---------\nFrom: Ann\nDate: Monday\nSubject: {}\n\nThe {} is dead.",
    "signatures": "Best regards\nAnn Smith\n+49 30 1234567\nOrder number: {}",
    "disclaimers": "This message is confidential and meant for the {} only. If you received it in error, delete it.",
    "auto_replies": "This is an automated message of the host {}, please do not reply to it.",
}


def reasons(first: str, second: str) -> list[str]:
    """Codes of what the second of two items is told of the first."""
    engine, log = opened(matcher=LearnedMatcher), Log()
    try:
        events = engine.process([log.upsert("a", first), log.upsert("b", second)])
        told = [data_of(event) for event in events if is_outcome(event)]
    finally:
        engine.close()
    assert told[1]["matched_id"] == "a"
    return [reason["code"] for reason in told[1]["reasons"]]


@pytest.mark.parametrize("below", BELOW.values(), ids=BELOW)
def test_the_same_words_above_two_things_are_no_certain_repeat(below: str) -> None:
    one, other = (f"{SAID}\n\n{below.replace('{}', thing)}" for thing in ("router-17", "kettle-23"))
    assert "identical_text" in reasons(one, one)
    assert "identical_text" not in reasons(one, other)


def test_a_device_or_a_name_below_makes_no_other_text() -> None:
    assert "identical_text" in reasons(SAID, f"{SAID}\n\nSent from my iPhone")
    assert "identical_text" in reasons(f"{SAID}\n\n-- \nKim", f"Re: {SAID}\n\n-- \nAnn")
