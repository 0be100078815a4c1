"""Pictures drawn on the server as SVG, with a text for those who do not see them. Colours come from the style sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log1p

from markupsafe import Markup

from celery_recommender.web.shown.rates import BANDS

_WIDTH, _HEIGHT, _GAP = 320, 80, 1
_HUNDREDTHS = 100
_PLANE, _MARGIN = (900, 520), 8


def stacked(columns: Sequence[Sequence[tuple[str, int]]], title: str) -> Markup:
    """A column for each row of counts, its parts on top of each other, scaled to the highest.

    Args:
        columns: class and count of each part, the lowest first.
        title: what the picture shows.
    """
    most = max((sum(count for _, count in parts) for parts in columns), default=0) or 1
    width, drawn = _WIDTH / max(len(columns), 1), []
    for place, parts in enumerate(columns):
        top = float(_HEIGHT)
        for class_, count in parts:
            tall = _tall(count, most)
            top -= tall
            if count:
                drawn.append(_rectangle(place * width, max(top, 0.0), max(width - _GAP, 1), tall, class_))
    return _svg(title, Markup("").join(drawn), _HEIGHT)


def histogram(
    counts: Mapping[str, Sequence[int]], borders: tuple[float | None, float | None, float | None], title: str
) -> Markup:
    """Items by hundredth of their probability and band; heights are logarithmic, so that few beside many are seen.

    Args:
        counts: by band, of each hundredth, the least probable first.
        borders: where ``duplicate`` begins now and would begin, and where ``review`` would; ``None``: no line.
        title: what the picture shows.
    """
    columns = [[(band, counts[band][place]) for band in BANDS[::-1]] for place in range(_HUNDREDTHS)]
    most = log1p(max((sum(count for _, count in parts) for parts in columns), default=0)) or 1.0
    width, drawn = _WIDTH / _HUNDREDTHS, []
    for place, parts in enumerate(columns):
        total = sum(count for _, count in parts)
        tall, top = _tall(log1p(total), most), float(_HEIGHT)
        for class_, count in parts:
            part = tall * count / total if total else 0.0
            top -= part
            if count:
                drawn.append(_rectangle(place * width, max(top, 0.0), width - 0.4, part, class_))
    for class_, border in zip(("before", "after", "review"), borders, strict=True):
        if border is not None:
            x = border * _WIDTH
            drawn.append(
                Markup('<line x1="{:.1f}" x2="{:.1f}" y1="0" y2="{}" class="border {}"/>').format(x, x, _HEIGHT, class_)
            )
    return _svg(title, Markup("").join(drawn), _HEIGHT)


def bars(counts: Sequence[int], title: str) -> Markup:
    """A bar for each count, beside each other, scaled to the highest.

    Args:
        counts: the first on the left.
        title: what the picture shows.
    """
    return stacked([[("similar", count)] for count in counts], title)


def plane(points: Sequence[tuple[float, float, int, str, str, str]], title: str) -> Markup:
    """A dot for each item.

    Args:
        points: x and y in [0, 1], the theme or -1, band, id and text of each.
        title: what the picture shows.
    """
    drawn = [
        Markup(
            '<circle cx="{:.1f}" cy="{:.1f}" r="3.2" class="point theme-{} {}"><title>{}: {}</title></circle>'
        ).format(
            _MARGIN + x * (_PLANE[0] - 2 * _MARGIN), _MARGIN + y * (_PLANE[1] - 2 * _MARGIN), theme, band, id_, text
        )
        for x, y, theme, band, id_, text in points
    ]
    return Markup('<svg class="plane" viewBox="0 0 {} {}" role="img" aria-label="{}"><title>{}</title>{}</svg>').format(
        *_PLANE, title, title, Markup("").join(drawn)
    )


def share(parts: Sequence[tuple[str, int]], title: str) -> Markup:
    """One bar divided by counts; nothing where there is nothing.

    Args:
        parts: class and count of each.
        title: what the picture shows.
    """
    total = sum(count for _, count in parts)
    x, drawn = 0.0, []
    for class_, count in parts:
        width = _WIDTH * count / total if total else 0.0
        if count:
            drawn.append(
                Markup('<rect x="{:.2f}" y="0" width="{:.2f}" height="10" class="bar {}"/>').format(x, width, class_)
            )
        x += width
    return _svg(title, Markup("").join(drawn), 10)


def _rectangle(x: float, y: float, width: float, height: float, class_: str) -> Markup:
    return Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" class="bar {}"/>').format(
        x, y, width, height, class_
    )


def _tall(value: float, most: float) -> float:
    """Height in the picture; what is there at all can be seen."""
    return max((_HEIGHT - 2) * value / most, 1.5) if value > 0 else 0.0


def _svg(title: str, drawn: Markup, height: int) -> Markup:
    return Markup(
        '<svg class="picture" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">'
        "<title>{}</title>{}</svg>"
    ).format(_WIDTH, height, title, title, drawn)
