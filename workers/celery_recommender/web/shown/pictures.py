"""Pictures drawn on the server as SVG, with a text for those who do not see them. Colours come from the style sheet."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

_WIDTH, _HEIGHT, _GAP = 320, 80, 1


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
                drawn.append(
                    Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" class="bar {}"/>').format(
                        place * width, max(top, 0.0), max(width - _GAP, 1), tall, class_
                    )
                )
    return _svg(title, Markup("").join(drawn), _HEIGHT)


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


def _tall(value: float, most: float) -> float:
    """Height in the picture; what is there at all can be seen."""
    return max((_HEIGHT - 2) * value / most, 1.5) if value > 0 else 0.0


def _svg(title: str, drawn: Markup, height: int) -> Markup:
    return Markup(
        '<svg class="picture" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">'
        "<title>{}</title>{}</svg>"
    ).format(_WIDTH, height, title, title, drawn)
