"""The HTML file of a report."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Mapping, Sequence
from importlib import resources

from jinja2 import BaseLoader, Environment, StrictUndefined
from markupsafe import Markup

from celery_recommender.report.summary import BINS, Summary

_WIDTH, _HEIGHT = 6, 120  # of a bar of the histogram, and of the histogram, in units of its drawing

_SHORT = Environment(autoescape=True).from_string(
    "<p>{{ rows }} rows: {% for band, count in bands.items() %}<b>{{ count }}</b> {{ band }}{{ ', ' if not loop.last }}"
    "{% endfor %}; {{ groups }} groups of duplicates"
    "{% if failed %}; {{ failed }} rows without a verdict{% endif %}.</p>"
    "<p><small>{{ notes|join('; ') }}. <code>.frame</code> has all rows, <code>.duplicates</code>, <code>.unique</code>"
    " and <code>.pairs</code> parts of them, <code>.report(path)</code> writes a page.</small></p>"
)


def page(summary: Summary) -> str:
    """The report as one HTML document.

    It loads nothing, and a browser runs and applies nothing in it but its own script and style: its policy names their
    hashes. All of it can be read without a script; with one, a threshold can be moved over the stored probabilities.
    """
    style, script = _text("page.css"), _text("page.js")
    policy = f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; base-uri 'none'"
    environment = Environment(
        loader=BaseLoader(), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    highest = max(*summary.histogram, 1)
    return environment.from_string(_text("page.html.jinja")).render(
        summary=summary,
        style=Markup(style),  # noqa: S704 # nosec B704 (a file of the package)
        script=Markup(script),  # noqa: S704 # nosec B704 (a file of the package)
        policy=policy,
        bars=[(place * _WIDTH, _tall(count, highest), count) for place, count in enumerate(summary.histogram)],
        width=BINS * _WIDTH,
        bar=_WIDTH - 1,
        height=_HEIGHT,
        largest=max([*summary.sizes.values(), 1]),
    )


def in_short(*, rows: int, bands: Mapping[str, int], groups: int, failed: int, notes: Sequence[str]) -> str:
    """A few words of HTML about a frame, for a notebook.

    Args:
        rows: how many there are.
        bands: rows by band.
        groups: of two or more rows.
        failed: rows without a verdict.
        notes: how the columns are read.
    """
    return _SHORT.render(rows=rows, bands=bands, groups=groups, failed=failed, notes=notes)


def _tall(count: int, highest: int) -> float:
    """Height of a bar; the square root shows the few between the many."""
    return round(_HEIGHT * math.sqrt(count / highest), 1)


def _text(name: str) -> str:
    return resources.files("celery_recommender.report").joinpath(name).read_text("utf-8")


def _hash(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
