"""Pictures of an evaluation: reliability, precision against recall, ROC. Needs the extra ``plot``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sklearn.metrics import precision_recall_curve, roc_curve

from recommender_engine.errors import ConfigurationError
from recommender_engine.evaluation.metrics import Labels, Scores, reliability
from recommender_engine.extras import install_command
from recommender_engine.files import give_to_owner_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INCHES = (15.0, 5.0)
_DOTS_PER_INCH = 120


class Series(NamedTuple):
    """One line in each picture.

    Attributes:
        name: for the legend.
        labels: shape (n,), both kinds.
        scores: shape (n,).
        probabilities: whether the scores are probabilities, and so belong into the reliability curve.
        threshold: of the operating point to mark, if there is one.
    """

    name: str
    labels: Labels
    scores: Scores
    probabilities: bool = True
    threshold: float | None = None


def require_plots() -> None:
    """Say what to install before anything long is started.

    Raises:
        ConfigurationError: matplotlib is missing.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ConfigurationError(f"plots need matplotlib: {install_command('plot')}") from error


def plot(path: Path, title: str, series: Sequence[Series]) -> None:
    """Write one picture with three parts; the format follows the name (png, svg, pdf).

    Raises:
        ConfigurationError: matplotlib is missing, the format is unknown, or the file cannot be written.
    """
    require_plots()
    from matplotlib.figure import Figure  # takes a second: only where something is drawn

    figure = Figure(figsize=_INCHES, dpi=_DOTS_PER_INCH, layout="constrained")
    figure.suptitle(title)
    calibration, precision_recall, roc = figure.subplots(1, 3)
    for one in series:
        _draw_reliability(calibration, one)
        _draw_precision_recall(precision_recall, one)
        _draw_roc(roc, one)
    _finish(calibration, "Reliability", "stated probability", "true share", diagonal=True)
    _finish(precision_recall, "Precision and recall", "recall", "precision", diagonal=False)
    _finish(roc, "ROC", "false positive rate", "true positive rate", diagonal=True)
    try:
        figure.savefig(path)
        give_to_owner_of(path.parent, path)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"cannot write {path}: {error}") from error


def _draw_reliability(axes: Axes, one: Series) -> None:
    if one.probabilities:
        bins = reliability(one.labels, one.scores)
        axes.plot([part.stated for part in bins], [part.true for part in bins], marker="o", label=one.name)


def _draw_precision_recall(axes: Axes, one: Series) -> None:
    precision, recall, thresholds = precision_recall_curve(one.labels, one.scores)
    (line,) = axes.step(recall, precision, where="post", label=one.name)
    if one.threshold is not None:
        # Past the highest score nothing is flagged, which is no point of the curve.
        place = int((thresholds < one.threshold).sum())
        if place < len(thresholds):
            axes.plot(recall[place], precision[place], marker="o", color=line.get_color())


def _draw_roc(axes: Axes, one: Series) -> None:
    false_positives, true_positives, _ = roc_curve(one.labels, one.scores)
    axes.plot(false_positives, true_positives, label=one.name)


def _finish(axes: Axes, title: str, across: str, up: str, *, diagonal: bool) -> None:
    if diagonal:
        axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle=":")
    axes.set(title=title, xlabel=across, ylabel=up, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.legend()
