"""Errors that cross a process border come out as they went in."""

from __future__ import annotations

import json

import pytest
from celery import Celery
from celery.backends.base import Backend
from celery.utils.serialization import get_pickleable_exception

from recommender_engine.errors import InvalidCommand

ERRORS = [
    InvalidCommand("wrong_type", "price must be a number", "attributes.price"),
    InvalidCommand("too_large", "200000 bytes; at most 131072 are accepted"),
]


def same(error: object, original: InvalidCommand) -> bool:
    assert isinstance(error, InvalidCommand)
    return (error.code, str(error), error.field) == (original.code, str(original), original.field)


def test_it_shows_its_message_only() -> None:
    assert str(ERRORS[0]) == f"{ERRORS[0]}" == "price must be a number"
    assert (ERRORS[0].code, ERRORS[0].field) == ("wrong_type", "attributes.price")


@pytest.mark.parametrize("original", ERRORS)
def test_it_survives_a_json_result_backend(original: InvalidCommand) -> None:
    backend = Backend(Celery(set_as_current=False), serializer="json")
    stored = json.loads(json.dumps(backend.prepare_exception(original)))
    assert same(backend.exception_to_python(stored), original)


@pytest.mark.parametrize("original", ERRORS)
def test_celery_can_carry_it_as_it_is(original: InvalidCommand) -> None:
    assert get_pickleable_exception(original) is original
    assert same(type(original)(*original.args), original)
