"""What the commands share: settings, options, output."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from workers.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

out = Console(highlight=False, soft_wrap=True)
"""What was asked for."""

err = Console(stderr=True, highlight=False, soft_wrap=True)
"""Progress and remarks."""

BAND_STYLES = {"duplicate": "bold red", "review": "yellow", "similar": "cyan", "new": "dim"}


def json_option(function: F) -> F:
    """``--json``: the result as one JSON document on standard output."""
    return click.option("as_json", "--json", is_flag=True, help="Print the result as JSON.")(function)


def collection_option(function: F) -> F:
    """``--collection``."""
    return click.option(
        "--collection", default="default", show_default=True, help="The set of items that are compared."
    )(function)


def load_settings(**changes: Any) -> Settings:
    """Settings from the environment, with what the command line says about them."""
    settings = Settings.from_environment()
    given = {name: value for name, value in changes.items() if value is not None}
    return settings.replaced(**given) if given else settings


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


class _RateColumn(ProgressColumn):
    """Rows per second."""

    def render(self, task: Any) -> Text:
        speed = task.finished_speed or task.speed
        return Text("-/s" if speed is None else f"{speed:,.0f}/s", style="progress.data.speed")


def progress_bar() -> Progress:
    """A bar with count, rate and remaining time, on standard error; only its last state where that is no terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=not err.is_terminal,
    )
