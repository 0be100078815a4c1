"""What the pages make of a question that is not answered."""

from __future__ import annotations

from typing import Any

import pytest
from celery.exceptions import TaskRevokedError
from kombu.exceptions import OperationalError

from celery_recommender.client import Client
from celery_recommender.web.service.service import Health, OwnerAway, Service
from tests.support.pages import NOWHERE


@pytest.mark.parametrize("error", [TimeoutError("late"), TaskRevokedError("expired"), OperationalError("no broker")])
def test_a_question_that_is_not_answered_says_how_the_owner_is(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    client = Client(NOWHERE)

    def ask(*args: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(client, "ask", ask)
    service = Service(NOWHERE, client)
    monkeypatch.setattr(service, "_health", lambda partition: Health(partition, "running"))
    with pytest.raises(OwnerAway, match=r"running|unreachable"):
        service.ask("recommender.get", "a", collection="default")


def test_an_owner_that_is_late_is_still_asked() -> None:
    assert Health("default", "silent", age_ms=3000).may_answer
    assert not Health("default", "silent", age_ms=9000).may_answer
    assert not Health("default", "away").may_answer
    assert Health("default", "running").may_answer
