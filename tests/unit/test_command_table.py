"""Every command stands in the table of types and has a handler. Schema and page: test_schemas.py, test_docs.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from recommender_engine.items import CollectionCommand, Command, RejectedCommand
from recommender_engine.items.commands import COMMAND_TYPES
from tests.support.engine import opened


def commands(base: type[Command] = Command) -> Iterator[type[Command]]:
    """Every class of commands that has a type."""
    for model in base.__subclasses__():
        if "type" in vars(model):
            yield model
        yield from commands(model)


def test_every_command_can_be_decoded() -> None:
    assert {model.__name__ for model in commands()} == {model.__name__ for model in COMMAND_TYPES.values()}
    assert len(COMMAND_TYPES) > 10


def test_every_command_has_a_handler_and_there_is_no_other() -> None:
    assert opened()._deciding.commands.handlers.by_type.keys() == {*COMMAND_TYPES.values(), RejectedCommand}


@pytest.mark.parametrize("model", COMMAND_TYPES.values(), ids=COMMAND_TYPES)
def test_what_is_routed_or_rated_names_a_collection(model: type[Command]) -> None:
    assert issubclass(model, CollectionCommand) or not (model.routed or model.rated or model.alters_collection)
