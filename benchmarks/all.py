"""The benchmarks of ``make bench``: everything that compares, on every set of texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import click

from benchmarks import latency, neighbour, pipeline, profile, vectors
from benchmarks.output import publish, show
from benchmarks.peers import comparison as peers
from benchmarks.report import Report, machine
from benchmarks.texts import SETS, measured_texts

Measuring = Callable[[], Report]


@click.command("all")
@click.option("--items", type=int, help="Take only so many texts of each set.  [default: as many as each needs]")
@click.option("--rounds", default=3, show_default=True)
@click.option("--without", multiple=True, metavar="NAME", help="Leave one out; repeatable.")
def everything(items: int | None, rounds: int, without: tuple[str, ...]) -> None:
    """All of them but `backfill`, `order` and `kills`: an hour or so; with --items 200 --rounds 1 some minutes."""
    found_on = machine()
    reports = []
    for name, measuring in _all(items, rounds):
        if name in without:
            continue
        click.echo(f"{name} …", err=True)
        report = measuring()
        show(report)
        reports.append(report)
    publish(reports, found_on)


def _all(items: int | None, rounds: int) -> Iterator[tuple[str, Measuring]]:
    most = items or 4000
    # Texts that stand in for a set that is not there are measured once.
    sets = {texts.name: texts for texts in (measured_texts(name, items) for name in SETS)}
    for texts in sets.values():
        yield "pipeline", lambda texts=texts: pipeline.measure(texts, rounds)  # type: ignore[misc]
    first = next(reversed(sets.values()))
    few = measured_texts(first.name, most)
    yield "latency", lambda: latency.measure(first, min(200, most), rounds)
    yield "neighbour", lambda: neighbour.measure(few, rounds)
    yield "vectors", lambda: vectors.measure(first, 5 * most, rounds)
    for texts in sets.values():
        yield "peers", lambda texts=texts: peers.measure(measured_texts(texts.name, most // 2), rounds)  # type: ignore[misc]
    for texts in sets.values():
        yield "profile", lambda texts=texts: profile.measure(texts)  # type: ignore[misc]
