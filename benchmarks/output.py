"""Where reports go: a folder of their own below ``benchmarks/results``, which git ignores."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from benchmarks.plots import draw
from benchmarks.report import Report, machine, report_json
from benchmarks.table import page, section

RESULTS = Path(__file__).parent / "results"


def publish(reports: Sequence[Report], found_on: dict[str, object] | None = None) -> Path:
    """Write results.json, results.md and a picture of each report; returns their folder."""
    found_on = found_on or machine()
    folder = RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%S}"
    folder.mkdir(parents=True)
    drawn = {report.name: path for report in reports if (path := draw(report, folder)) is not None}
    contents = {"machine": found_on, "reports": [report_json(report) for report in reports]}
    (folder / "results.json").write_text(json.dumps(contents, indent=1, default=str) + "\n")
    (folder / "results.md").write_text(page(reports, found_on, {name: Path(path.name) for name, path in drawn.items()}))
    click.echo(f"written to {folder}", err=True)
    return folder


def show(report: Report) -> None:
    """On standard output."""
    click.echo("\n".join(section(report)))
    click.echo()


def timed(measure: Callable[..., Report]) -> Callable[..., Report]:
    """Note how long a measurement takes."""

    @functools.wraps(measure)
    def timing(*arguments: object, **options: object) -> Report:
        started = time.monotonic()
        report = measure(*arguments, **options)
        return replace(report, seconds=time.monotonic() - started)

    return timing
