"""Values of a database as JSON, and questions to a server that is down."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any
from uuid import UUID

import pytest
from celery.backends import asynchronous
from redis.exceptions import RedisError

from celery_recommender.broker.commands.encoding import command_fields
from celery_recommender.client import Client
from recommender_engine.errors import InvalidCommand
from tests.support.pages import NOWHERE


class Colour(Enum):
    RED = "red"


class Size(IntEnum):
    LARGE = 3


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (Decimal("89.90"), 89.9),
        (Decimal("120.00"), 120),
        (Decimal(10) ** 400, None),
        (Decimal("NaN"), None),
        (Decimal("sNaN"), None),
        (datetime(2026, 3, 1, 9, 30, tzinfo=UTC), "2026-03-01T09:30:00+00:00"),
        (date(2026, 3, 1), "2026-03-01"),
        (time(9, 30), "09:30:00"),
        ({(1, 2): "a key that is no text"}, None),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (Colour.RED, "red"),
        (Size.LARGE, 3),
        ({"b", "a"}, ["a", "b"]),
        (("a", Decimal(1)), ["a", 1]),
        (object(), None),
        (b"bytes", None),
    ],
)
def test_values_of_a_database_have_their_usual_form(value: object, sent: Any) -> None:
    item = {"id": "1", "text": "a", "attributes": {"value": value}}
    if sent is None:
        with pytest.raises(InvalidCommand) as refused:
            command_fields("item.upsert", item)
        assert refused.value.code in {"wrong_type", "not_json"}
    else:
        data = json.loads(command_fields("item.upsert", item)["data"])
        assert data["attributes"]["value"] == sent
        assert type(data["attributes"]["value"]) is type(sent)


def test_a_question_to_a_server_that_is_down_fails_as_a_command_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asynchronous, "E_RETRY_LIMIT_EXCEEDED", "in other words", raising=False)  # of another release
    client = Client(NOWHERE)
    for _ in range(2):  # not only the first one
        with pytest.raises(RedisError):
            client.search("printer", timeout_s=1)
