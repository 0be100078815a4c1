"""Reports as one page of Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from benchmarks.report import Report, Row


def page(reports: Sequence[Report], machine: Mapping[str, Any], plots: Mapping[str, PurePath]) -> str:
    """All reports, one after the other.

    Args:
        reports: to show.
        machine: where they were measured.
        plots: pictures, by the name of the report.
    """
    return "\n".join(_lines(reports, machine, plots)) + "\n"


def section(report: Report) -> Iterator[str]:
    """One report."""
    yield f"## {report.title}"
    yield ""
    said = f"{report.subject}. " if report.subject else ""
    yield f"{said}`python -m benchmarks {report.name}`, {report.seconds:,.0f} s."
    if report.rows:
        yield ""
        yield "| what | median | least … greatest | beside | ratio | goal |"
        yield "| --- | ---: | ---: | --- | ---: | --- |"
        yield from (_row(row) for row in report.rows)
    if report.facts:
        yield ""
        yield "| | |"
        yield "| --- | --- |"
        yield from (f"| {name} | {_shown(value)} |" for name, value in report.facts.items())
    if report.notes:
        yield ""
        yield from (f"* {note}" for note in report.notes)


def _lines(reports: Sequence[Report], machine: Mapping[str, Any], plots: Mapping[str, PurePath]) -> Iterator[str]:
    yield "# Benchmarks"
    yield ""
    yield "Medians over the rounds of one run; ratios are medians of the rounds' ratios."
    yield ""
    yield ", ".join(f"{name} {value}" for name, value in machine.items()) + "."
    for report in reports:
        yield ""
        yield from section(report)
        if report.name in plots:
            yield ""
            yield f"![{report.title}]({plots[report.name]})"


def _row(row: Row) -> str:
    figure = row.figure
    values = sorted(figure.values)
    spread = f"{number(values[0])} … {number(values[-1])}" if len(values) > 1 else ""
    what = f"{figure.what} ({row.note})" if row.note else figure.what
    beside = "" if row.beside is None else f"{row.beside.what}: {number(row.beside.median)}"
    ratio = "" if row.ratio is None else f"**{row.ratio:.2f}**"
    return f"| {what} | {number(figure.median)} {figure.unit} | {spread} | {beside} | {ratio} | {row.goal} |"


def number(value: float) -> str:
    """As many digits as it deserves."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_shown(one)}" for name, one in value.items())
    return number(value) if isinstance(value, float) else str(value)
