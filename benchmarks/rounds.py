"""Shared by the measurements: values by name, and workers that start anew in each round."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from celery_recommender.measuring import Figure, warm_up
from celery_recommender.sandbox import RunningWorker, running_worker
from celery_recommender.settings import Settings


class Rates:
    """Values by name, one for each round.

    Args:
        unit: of all of them.
    """

    def __init__(self, unit: str = "items/s") -> None:
        self._unit = unit
        self._values: dict[str, list[float]] = {}

    def note(self, what: str, value: float) -> None:
        """Keep the value of a round."""
        click.echo(f"  {what}: {value:,.4g} {self._unit}", err=True)
        self._values.setdefault(what, []).append(value)

    def figure(self, what: str) -> Figure:
        """All rounds."""
        return Figure(what, self._unit, tuple(self._values[what]))

    def __contains__(self, what: str) -> bool:
        return what in self._values


@contextmanager
def fresh_worker(settings: Settings, name: str) -> Iterator[RunningWorker]:
    """A worker that has seen no text and has done everything once."""
    with running_worker(settings.replaced(partition=name)) as worker:
        warm_up(worker)
        yield worker
