"""Results of a benchmark: frozen values, and their JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from celery_recommender.measuring import Figure

LIBRARIES = ("torch", "sentence-transformers", "openvino", "hnswlib", "celery", "redis", "numpy")


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        figure: what was measured.
        beside: the limit above it, or what one would otherwise use, measured in the same rounds.
        goal: what the ratio is to be, in words.
        note: what a reader should know.
    """

    figure: Figure
    beside: Figure | None = None
    goal: str = ""
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times ``beside`` it is: the median over the rounds."""
        return None if self.beside is None else self.figure.over(self.beside)


@dataclass(frozen=True)
class Report:
    """One benchmark.

    Attributes:
        name: how it is called on the command line.
        title: for people.
        subject: on what it was measured.
        rows: what was measured in rounds.
        facts: what else was found.
        notes: sentences for people.
        seconds: that it took.
    """

    name: str
    title: str
    subject: str = ""
    rows: Sequence[Row] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    seconds: float = 0.0


def report_json(report: Report) -> dict[str, Any]:
    """As plain values."""
    return {
        "name": report.name,
        "title": report.title,
        "subject": report.subject,
        "rows": [_row_json(row) for row in report.rows],
        "facts": dict(report.facts),
        "notes": list(report.notes),
        "seconds": round(report.seconds, 1),
    }


def _row_json(row: Row) -> dict[str, Any]:
    return {
        "what": row.figure.what,
        "unit": row.figure.unit,
        "values": [round(value, 4) for value in row.figure.values],
        "median": round(row.figure.median, 4),
        "beside": None if row.beside is None else row.beside.what,
        "ratio": None if row.ratio is None else round(row.ratio, 4),
        "goal": row.goal,
        "note": row.note,
    }


def machine() -> dict[str, Any]:
    """Where it was measured."""
    processor = platform.processor() or platform.machine()
    if (path := Path("/proc/cpuinfo")).exists():
        names = [line for line in path.read_text().splitlines() if line.startswith("model name")]
        processor = names[0].partition(":")[2].strip() if names else processor
    return {
        "processor": processor,
        "processors": os.cpu_count(),
        "load average at the start": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        **{name: version for name in LIBRARIES if (version := _version(name))},
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
