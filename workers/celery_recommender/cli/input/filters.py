"""Filters on the command line: ``--filter JSON`` and ``--where price<20``."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from celery_recommender.records.mapping import parsed
from recommender_engine.errors import InvalidCommand
from recommender_engine.items.commands import parse_json
from recommender_engine.recommend.filters import parse

_WHERE = re.compile(r"([^<>=!]+)(<=|>=|!=|<|>|=)(.*)", re.DOTALL)
_OPERATORS = {"=": "$eq", "!=": "$ne", "<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}


def filter_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options ``--filter`` and ``--where``; it gets one filter, ``passing``, or ``None``."""

    @click.option("--filter", "filter_json", metavar="JSON", help="Only items whose attributes pass this filter.")
    @click.option(
        "--where",
        multiple=True,
        metavar="CONDITION",
        help="Only items with such an attribute: 'price<20', category=mugs; also !=, <=, >, >=. Repeatable: all hold.",
    )
    @wraps(command)
    def with_filter(*args: Any, filter_json: str | None, where: tuple[str, ...], **kwargs: Any) -> None:
        command(*args, passing=_filter(filter_json, where), **kwargs)

    return with_filter


def _filter(text: str | None, where: tuple[str, ...]) -> dict[str, Any] | None:
    parts = [_condition(one) for one in where]
    if text is not None:
        parts.append(_parsed(text))
    for part in parts:
        try:
            parse(part)
        except InvalidCommand as error:
            raise click.UsageError(str(error)) from error
    return {"$and": parts} if len(parts) > 1 else parts[0] if parts else None


def _parsed(text: str) -> Any:
    try:
        return parse_json(text.encode(errors="surrogateescape"))
    except InvalidCommand as error:
        raise click.BadParameter(str(error), param_hint="--filter") from error


def _condition(text: str) -> dict[str, Any]:
    """``price<20`` as a filter; the value is a number or a truth value where it looks like one."""
    found = _WHERE.fullmatch(text)
    value = None if found is None else parsed(found[3])
    if found is None or value is None:
        raise click.BadParameter(f"{text!r} is not like price<20 or category=mugs", param_hint="--where")
    return {found[1].strip(): {_OPERATORS[found[2]]: value}}
