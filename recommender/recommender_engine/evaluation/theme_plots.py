"""A picture of the themes of a collection. Needs the extra ``plot``."""

from __future__ import annotations

from pathlib import Path

from recommender_engine.errors import ConfigurationError
from recommender_engine.evaluation.plots import require_plots
from recommender_engine.files import give_to_owner_of
from recommender_engine.themes import Themes

MOST_SHOWN = 40
_INCHES_WIDE, _INCHES_A_BAR, _INCHES_AROUND = 10.0, 0.26, 1.2
_DOTS_PER_INCH = 120


def plot_themes(path: Path, title: str, found: Themes) -> None:
    """Write a bar for each of the largest themes, with its words; the format follows the name (png, svg, pdf).

    Raises:
        ConfigurationError: matplotlib is missing, the format is unknown, or the file cannot be written.
    """
    require_plots()
    from matplotlib.figure import Figure  # takes a second: only where something is drawn

    shown = found.themes[:MOST_SHOWN]
    height = _INCHES_AROUND + _INCHES_A_BAR * max(len(shown), 1)
    figure = Figure(figsize=(_INCHES_WIDE, height), dpi=_DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    places = list(range(len(shown)))
    bars = axes.barh(places, [theme.size for theme in shown])
    axes.bar_label(bars, padding=3)
    # Words are of people's texts: a dollar sign begins no formula.
    axes.set_yticks(places, [", ".join(theme.label).replace("$", r"\$") for theme in shown])
    axes.invert_yaxis()
    left_out = len(found.themes) - len(shown)
    rest = f"; {left_out} smaller themes are not shown" if left_out else ""
    axes.set(title=title.replace("$", r"\$"), xlabel=f"items of {found.items:,}{rest}")
    try:
        figure.savefig(path)
        give_to_owner_of(path.parent, path)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"cannot write {path}: {error}") from error
