"""What people are told of the fleet."""

from __future__ import annotations

from typing import Any

import pytest

from celery_recommender.cli.output.fleet import check_fleet, fleet_sentence

SERVING: dict[str, Any] = {
    "state": "serving",
    "workers": 1,
    "expected": 2,
    "window": 6,
    "in_flight": 5,
    "complaint": "",
}


def test_the_sentence_counts_the_answering_workers() -> None:
    assert fleet_sentence(SERVING) == "1 of 2 embed workers answered within the last minute, 5 batches with them"
    assert fleet_sentence({**SERVING, "state": "silent"}) == "no embed worker answers: the owner embeds by itself"


@pytest.mark.parametrize(
    ("changes", "state", "says"),
    [
        ({}, "ok", "1 of 2"),
        ({"state": "silent"}, "warning", "embeds by itself"),
        ({"complaint": "worker b:7: asked for the model one@1"}, "failed", "worker b:7: asked for the model one@1"),
    ],
)
def test_the_doctor_says_what_is_wrong(changes: dict[str, Any], state: str, says: str) -> None:
    (finding,) = check_fleet({"fleet": {**SERVING, **changes}})
    assert (finding.check, finding.state) == ("fleet", state)
    assert says in finding.found
    assert (finding.advice == "") == (state == "ok")


def test_without_a_fleet_nothing_is_said() -> None:
    assert list(check_fleet({})) == []
