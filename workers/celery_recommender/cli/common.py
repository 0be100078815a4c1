"""Shared by the commands: settings, options, output."""

from __future__ import annotations

import codecs
import functools
import json
import sys
from collections.abc import Callable
from typing import Any, TypeVar, cast

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from celery_recommender.cli.remembered import DEFAULT, remember, remembered
from celery_recommender.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
"""Results. A string is never markup here: what is styled is a ``Text``."""

err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)
"""Progress and remarks."""

BAND_STYLES = {"duplicate": "bold red", "review": "yellow", "similar": "cyan", "new": "dim"}


def json_option(function: F) -> F:
    """``--json``: the result as one JSON document on standard output."""
    return click.option("as_json", "--json", is_flag=True, help="Print the result as JSON.")(function)


def collection_option(function: F) -> F:
    """``--collection``: without it the one that was named last, which is told, or `default`.

    A name that was given is remembered once the command has succeeded.
    """

    @functools.wraps(function)
    def command(*args: Any, collection: str | None, **kwargs: Any) -> Any:
        settings = load_settings()
        if collection is None:
            return function(*args, collection=_used_last(settings), **kwargs)
        try:
            result = function(*args, collection=collection, **kwargs)
        except click.exceptions.Exit as ended:
            if ended.exit_code == 0:
                remember(settings, collection)
            raise
        remember(settings, collection)
        return result

    option = click.option(
        "--collection", help="Collection: the items that are compared.  [default: the one named last, or `default`]"
    )
    return cast("F", option(command))


def _used_last(settings: Settings) -> str:
    last = remembered(settings) or DEFAULT
    if last != DEFAULT:
        err.print(printable(f"collection {last!r}, the last one named (--collection names another)"), style="dim")
    return last


def after_option(function: F) -> F:
    """``--after``."""
    return click.option("--after", metavar="NEXT", help="Begin behind a page: its `next`.")(function)


def tell_next(following: str | None) -> None:
    """Say how to get the page behind, if there is one."""
    if following is not None:
        out.print(f"more: the same command with --after {following}", style="dim")


def load_settings(**changes: Any) -> Settings:
    """Settings from the environment, with what the command line says about them."""
    settings = Settings.from_environment()
    given = {name: value for name, value in changes.items() if value is not None}
    return settings.replaced(**given) if given else settings


def printable(text: object) -> Text:
    """Untrusted text without what a terminal, or our own markup, would act on: a dot for what is not printable."""
    return Text("".join(character if character.isprintable() else "·" for character in str(text)))


def counted(number: int, what: str) -> str:
    """``1 answer``, ``2,000 answers``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def json_text(value: object, indent: int | None = None) -> str:
    """JSON in which only printable characters are literal; all others are escaped."""
    text = json.dumps(value, ensure_ascii=not _takes_everything(), indent=indent)
    return "".join(
        character if character.isprintable() or character == "\n" else json.dumps(character)[1:-1] for character in text
    )


def _takes_everything() -> bool:
    """Whether standard output can show any character; what it cannot is escaped, as JSON does it, in JSON."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return codecs.lookup(encoding).name.startswith("utf")


def print_json(value: object) -> None:
    """One JSON document on standard output."""
    click.echo(json_text(value, indent=2))


class _RateColumn(ProgressColumn):
    """Rows per second."""

    def render(self, task: Any) -> Text:
        speed = task.finished_speed or task.speed
        return Text("-/s" if speed is None else f"{speed:,.0f}/s", style="progress.data.speed")


def progress_bar() -> Progress:
    """A bar with count, rate and remaining time, on standard error; only its last state where that is no terminal."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=not err.is_terminal,
    )
