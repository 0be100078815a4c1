"""Reports as pictures."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.report import Report, Row
from benchmarks.table import number

_INCHES_OF_A_BAR = 0.42


def draw(report: Report, folder: Path) -> Path | None:
    """Bars with the spread of the rounds, and a line where the limit is; ``None`` where there is nothing to draw.

    Rows of the unit that most rows have are drawn.
    """
    units = [row.figure.unit for row in report.rows]
    if not units:
        return None
    from matplotlib.figure import Figure as Picture  # no window system is asked for

    unit = max(units, key=units.count)
    by_what: dict[str, Row] = {}
    for row in report.rows:
        if row.figure.unit == unit:
            by_what.setdefault(row.figure.what, row)
    rows = list(by_what.values())[::-1]  # bars are drawn from below
    picture = Picture(figsize=(9, 1.2 + _INCHES_OF_A_BAR * len(rows)), layout="constrained")
    axes = picture.subplots()
    medians = [row.figure.median for row in rows]
    below = [row.figure.median - min(row.figure.values) for row in rows]
    above = [max(row.figure.values) - row.figure.median for row in rows]
    bars = axes.barh(range(len(rows)), medians, xerr=[below, above], color="#4878a8", ecolor="#333333", capsize=3)
    axes.bar_label(bars, [number(median) for median in medians], padding=6)
    axes.margins(x=0.12)
    for place, row in enumerate(rows):
        if row.beside is not None and row.beside.unit == unit:
            axes.vlines(row.beside.median, place - 0.4, place + 0.4, color="#c44e52", linewidth=2)
    axes.set_yticks(range(len(rows)), [row.figure.what for row in rows])
    axes.set_xlabel(f"{unit} (red: what it stands beside)")
    axes.set_title(report.title)
    path = folder / f"{re.sub(r'[^a-z0-9]+', '-', report.name)}.png"
    picture.savefig(path, dpi=120)
    return path
