"""Pictures drawn on the server as SVG, with a text for those who do not see them. Colours come from the style sheet."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

_WIDTH, _HEIGHT, _GAP = 320, 80, 1


def bars(values: Sequence[float], title: str, classes: Sequence[str] = ()) -> Markup:
    """A bar for each value, scaled to the largest.

    Args:
        values: at least one, each at least 0.
        title: what the picture shows.
        classes: of the bars, for their colours.
    """
    most, width = max(*values, 1e-9), _WIDTH / len(values)
    drawn = Markup("").join(
        Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" class="bar {}"/>').format(
            place * width,
            _HEIGHT - _tall(value, most),
            max(width - _GAP, 1),
            _tall(value, most),
            classes[place] if classes else "",
        )
        for place, value in enumerate(values)
    )
    return _svg(title, drawn, _HEIGHT)


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


def line(values: Sequence[float], title: str) -> Markup:
    """A line through values at even distances, the oldest first."""
    most, step = max(*values, 1e-9), _WIDTH / max(len(values) - 1, 1)
    points = " ".join(f"{place * step:.1f},{_HEIGHT - _tall(value, most):.1f}" for place, value in enumerate(values))
    return _svg(title, Markup('<polyline points="{}" class="line"/>').format(points), _HEIGHT)


def _tall(value: float, most: float) -> float:
    """Height in the picture; what is there at all can be seen."""
    return max((_HEIGHT - 2) * value / most, 1.5) if value > 0 else 0.0


def _svg(title: str, drawn: Markup, height: int) -> Markup:
    return Markup(
        '<svg class="picture" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">'
        "<title>{}</title>{}</svg>"
    ).format(_WIDTH, height, title, title, drawn)
