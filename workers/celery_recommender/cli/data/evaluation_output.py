"""Output of ``recommender evaluate``: text, pictures, files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel
from rich.table import Table

from celery_recommender.cli.common import err, out, printable
from celery_recommender.records import open_writer
from recommender_engine.evaluation import Judged, PairEvaluation, Series, StreamFigures, StreamVerdict, matched, plot
from recommender_engine.items import UpsertItem

PAIR_ERROR_COLUMNS = ("error", "probability", "left", "right", "explanation")
STREAM_ERROR_COLUMNS = ("error", "id", "band", "probability", "said", "true", "explanation")

_DIGITS = 4


def in_a_folder(context: click.Context, option: click.Parameter, path: Path | None) -> Path | None:
    """Minutes of work must not end at a folder that is not there."""
    if path is not None and not path.absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder {path.absolute().parent}")
    return path


# -- pictures and files ------------------------------------------------------------------------------------------------


def pair_series(evaluation: PairEvaluation, shipped: Judged, learned: Judged | None) -> list[Series]:
    """A line for each model and each baseline."""
    series = [
        Series(name, judged.labels, judged.probabilities, threshold=judged.figures.threshold)
        for name, judged in (("as shipped", shipped), ("learned", learned))
        if judged is not None
    ]
    baselines = evaluation.judge.baselines._asdict().items()
    return series + [
        Series(name, shipped.labels, scores[shipped.pairs], probabilities=False) for name, scores in baselines
    ]


def plot_stream(picture: Path, items: str, verdicts: Sequence[StreamVerdict]) -> None:
    """Draw how far the best match of each item can be trusted."""
    labels, stated = matched(verdicts)
    if labels.all() or not labels.any():
        err.print(f"{picture} is not drawn: it takes matches that are right and matches that are wrong")
        return
    plot(picture, Path(items).name, [Series("best match of each item", labels, stated)])


def pair_errors(evaluation: PairEvaluation, judged: Judged) -> Iterable[dict[str, Any]]:
    """Wrongly flagged ones, the surest first, and then missed ones, the least likely first."""
    pairs = evaluation.pairs
    for pair, verdict in evaluation.explained(judged, judged.wrong()):
        yield {
            "error": "missed" if pairs.labels[pair] else "flagged",
            "probability": verdict.probability,
            "left": pairs.items[pairs.left[pair]].content,
            "right": pairs.items[pairs.right[pair]].content,
            "explanation": verdict.explanation,
        }


def stream_errors(items: Sequence[UpsertItem], verdicts: Sequence[StreamVerdict]) -> Iterable[dict[str, Any]]:
    """In the order of arrival."""
    texts = {item.id: item.content for item in items}
    for verdict in verdicts:
        arrival = verdict.verdict
        flagged = verdict.flagged_right is False
        if not flagged and (verdict.twin is None or verdict.flagged_right):
            continue
        other = arrival.duplicate_of or arrival.matched_id
        yield {
            "error": "flagged" if flagged else "missed",
            "id": arrival.item_id,
            "band": arrival.band.value,
            "probability": arrival.probability,
            "said": None if other is None else f"{other}: {texts[other]}",
            "true": None if verdict.twin is None else f"{verdict.twin}: {texts[verdict.twin]}",
            "explanation": arrival.explanation,
        }


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> None:
    """Write a record file in the format of its name."""
    with open_writer(path, (), columns) as writer:
        for row in rows:
            writer.write(row)


# -- for people --------------------------------------------------------------------------------------------------------


def show_pairs(result: Mapping[str, Any]) -> None:
    """The figures as a table, and the bands and the curve below it."""
    out.print(f"{result['pairs']:,} pairs judged ({result['judged_on']}), {result['same']:,} of them the same thing")
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for heading in ("AP", "best F1", "F1", "precision", "recall", "from", "ECE"):
        table.add_column(heading, justify="right")
    keys = ("average_precision", "best_f1", "f1", "precision", "recall", "threshold", "expected_calibration_error")
    for name, figures in (("as shipped", result), ("learned", result["learned"]), *result["baselines"].items()):
        if figures is not None:
            table.add_row(name, *(_cell(figures.get(key)) for key in keys))
    out.print(table)
    for name in ("as shipped", "learned"):
        figures = result if name == "as shipped" else result[name]
        for band, point in (figures or {"bands": {}})["bands"].items():
            out.print(
                f"{name}, from {band} up ({_cell(point['threshold'])}):"
                f" precision {_cell(point['precision'])}, recall {_cell(point['recall'])}"
            )
    for point in result["curve"] or ():
        out.print(
            f"{point['answers']:>4} answers: AP {_cell(point['average_precision'])}, best F1"
            f" {_cell(point['best_f1'])}, ECE {_cell(point['expected_calibration_error'])}"
        )


def show_stream(figures: StreamFigures) -> None:
    """The figures, one question a line."""
    out.print(f"{figures.items:,} items decided, {figures.twins:,} with an earlier twin; {figures.items_per_s:,.0f}/s")
    shares = ", ".join(f"{band} {count:,}" for band, count in figures.bands.items())
    out.print(f"bands: {shares}")
    out.print(f"duplicate: precision {_cell(figures.pair_precision)}, recall {_cell(figures.pair_recall)}")
    out.print(
        f"duplicate or review: recall {_cell(figures.review_recall)};"
        f" {_cell(figures.review_twins)} of those with a twin, {_cell(figures.looked_at)} of all"
    )
    out.print(
        f"groups (B-cubed): F1 {_cell(figures.bcubed_f1)}, precision {_cell(figures.bcubed_precision)},"
        f" recall {_cell(figures.bcubed_recall)}"
    )
    out.print("twin among the likeliest: " + ", ".join(f"{k} {_cell(share)}" for k, share in figures.hit_at.items()))
    out.print(f"expected calibration error: {_cell(figures.expected_calibration_error)}")
    for code, count in figures.rejected.items():
        out.print(printable(f"rejected {count:,}: {code}"))


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def plain(figures: BaseModel) -> dict[str, Any]:
    """Figures as JSON says them."""
    result: dict[str, Any] = rounded(figures.model_dump(mode="json"))
    return result


def rounded(value: Any) -> Any:
    """To the digits that samples of this size can tell apart."""
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    return round(value, _DIGITS) if isinstance(value, float) else value
