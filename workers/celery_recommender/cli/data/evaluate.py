"""``recommender evaluate``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from celery_recommender.celery.worker.plugin import catalogue
from celery_recommender.cli.common import err, json_option, load_settings, out, print_json, printable, progress_bar
from celery_recommender.cli.data.evaluate_recommendations import recommendations
from celery_recommender.cli.data.evaluation_output import (
    PAIR_ERROR_COLUMNS,
    STREAM_ERROR_COLUMNS,
    in_a_folder,
    pair_errors,
    pair_series,
    plain,
    plot_stream,
    rounded,
    show_pairs,
    show_stream,
    stream_errors,
    write_rows,
)
from celery_recommender.cli.input.labelled_files import read_items, read_pairs, read_truth
from celery_recommender.cli.input.mapping_options import FileOptions, mapping_options, opened, print_notes
from celery_recommender.cli.input.policies import collection_settings, settings_option
from celery_recommender.cli.input.skipped import bad_rows, show_bad
from celery_recommender.cli.input.tally import exit_code
from celery_recommender.cli.learning.evaluate_sentences import SENTENCE_EVALUATIONS
from recommender_engine.errors import ConfigurationError
from recommender_engine.evaluation import (
    PairEvaluation,
    PairJudge,
    PairSet,
    RecordedEncoders,
    Split,
    embed,
    gather,
    judge_stream,
    plot,
    require_plots,
    run_stream,
)
from recommender_engine.evaluation.metrics import reliability
from recommender_engine.items import DEFAULT_MODEL, CollectionSettings
from recommender_engine.message import Messages
from recommender_engine.text import clean

F = TypeVar("F", bound=Callable[..., Any])

_FILE = click.Path(exists=True, dir_okay=False)
_OUT = click.Path(dir_okay=False, path_type=Path)


def _shared_options(function: F) -> F:
    """The options of both commands beside the columns."""
    for option in (
        click.option("--model", default=DEFAULT_MODEL, show_default=True, metavar="NAME", help="The embedding model."),
        click.option(
            "--vectors",
            type=_OUT,
            callback=in_a_folder,
            metavar="FILE.npz",
            help="Cache for vectors.",
        ),
        click.option(
            "--plot",
            "picture",
            type=_OUT,
            callback=in_a_folder,
            metavar="FILE.png",
            help="Draw calibration, precision-recall and ROC curves.",
        ),
        click.option(
            "--errors",
            type=_OUT,
            callback=in_a_folder,
            metavar="OUT",
            help="Write false positives and false negatives.",
        ),
        json_option,
    ):
        function = option(function)
    return function


@click.group()
def evaluate() -> None:
    """Measure verdicts, recommendations and models on your own data; needs no server and no worker."""


for _command in (recommendations, *SENTENCE_EVALUATIONS):
    evaluate.add_command(_command)


@evaluate.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=_FILE)
@mapping_options
@click.option("--learn", is_flag=True, help="Learn from the split `train`, and judge `test`.")
@click.option("--curve", is_flag=True, help="Show the gain of 10, 30, 100 and 300 answers.")
@click.option("--alone", is_flag=True, help="Judge each pair alone, without the other candidates of its item.")
@click.option(
    "--target-precision",
    type=click.FloatRange(0.5, 0.999),
    default=CollectionSettings().target_precision,
    show_default=True,
    help="Precision of the band `duplicate`.",
)
@_shared_options
@click.pass_context
def pairs(
    context: click.Context,
    files: tuple[str, ...],
    given: FileOptions,
    *,
    learn: bool,
    curve: bool,
    alone: bool,
    target_precision: float,
    model: str,
    vectors: Path | None,
    picture: Path | None,
    errors: Path | None,
    as_json: bool,
) -> None:
    """Judge labelled pairs: columns `text1`, `text2` and `label`, or `left_*`, `right_*` and `label`.

    FILE is CSV, TSV, JSON Lines or Parquet, gzipped or not. Splits: a column `split` (`train`, `valid`, `test`), or
    files with these names, or else a hash of the two texts. Unusable rows are reported and skipped. Options name
    columns without `left_` and `right_`.

    \b
    recommender evaluate pairs pairs.csv
    recommender evaluate pairs train.csv valid.csv test.csv --learn --curve
    recommender evaluate pairs products.csv.gz --text-field title --text-field brand --attribute price --json
    """
    if picture is not None:
        require_plots()
    read = read_pairs(files, given.mapping, given.file_format, given.reading)
    for note in read.notes:
        err.print(printable(note), style="dim")
    if not read.pairs:
        show_bad(read.bad, err)
        raise ConfigurationError("no row is a pair that can be judged")
    gathered = gather(read.pairs)
    judge = _pair_judge(gathered, model, vectors, alone=alone or not read.two_lists)
    on = Split.TEST if learn or curve or (gathered.declared and len(gathered.of(Split.TEST))) else None
    evaluation = PairEvaluation(gathered, judge, CollectionSettings(target_precision=target_precision, model=model), on)
    shipped = evaluation.shipped()
    rows = judge.rows() if learn or curve else None
    learned = evaluation.learned(rows) if learn and rows is not None else None
    result = {
        "pairs": len(shipped.labels),
        "same": int(shipped.labels.sum()),
        "judged_on": "all" if on is None else on.value,
        "target_precision": target_precision,
        **plain(shipped.figures),
        "reliability": [rounded(part._asdict()) for part in reliability(shipped.labels, shipped.probabilities)],
        "learned": None if learned is None else plain(learned.figures),
        "baselines": {name: plain(figures) for name, figures in evaluation.baselines().items()},
        "curve": [plain(point) for point in evaluation.curve(rows)] if curve and rows is not None else None,
        "bad_rows": bad_rows(read.bad),
    }
    if picture is not None:
        plot(picture, ", ".join(Path(file).name for file in files), pair_series(evaluation, shipped, learned))
    if errors is not None:
        write_rows(errors, PAIR_ERROR_COLUMNS, pair_errors(evaluation, learned or shipped))
    if as_json:
        print_json(result)
    else:
        show_pairs(result)
        show_bad(read.bad)
    context.exit(exit_code(len(read.pairs), len(read.bad)))


@evaluate.command()
@click.argument("items", type=_FILE)
@click.argument("truth", type=_FILE)
@mapping_options
@settings_option
@_shared_options
@click.pass_context
def stream(
    context: click.Context,
    items: str,
    truth: str,
    given: FileOptions,
    *,
    settings: tuple[str, ...],
    model: str,
    vectors: Path | None,
    picture: Path | None,
    errors: Path | None,
    as_json: bool,
) -> None:
    """Send ITEMS through the engine in order, and compare the verdicts with TRUTH.

    The first two columns of TRUTH are ids of items that are the same; the relation is transitive. The state is in
    memory only.

    \b
    recommender evaluate stream tickets.csv duplicates.csv --text-field subject --text-field body
    recommender evaluate stream products.jsonl same.csv --collection-settings target_precision=0.9 --json
    """
    if picture is not None:
        require_plots()
    chosen = collection_settings(given.collection, model, settings)
    with opened(items, given) as (reader, item_mapping):
        print_notes(reader, item_mapping)
        found, bad, tally = read_items(reader, item_mapping, items, given.on_repeat)
    ids = {item.id for item in found}
    links, bad_links = read_truth(truth, ids)
    unknown = sum(not ids.issuperset(link) for link in links)
    if unknown or not links:
        err.print(printable(f"{truth}: {len(links):,} pairs, {unknown:,} of them with an id that no item has"))
    encoders = RecordedEncoders(catalogue(load_settings()), chosen.model, vectors)
    with _kept(encoders), progress_bar() as bar:
        deciding = bar.add_task("decided", total=len(found))
        run = run_stream(found, encoders, chosen, lambda count: bar.advance(deciding, count))
    figures, verdicts = judge_stream(run, links)
    if picture is not None:
        plot_stream(picture, items, verdicts)
    if errors is not None:
        write_rows(errors, STREAM_ERROR_COLUMNS, stream_errors(found, verdicts))
    if as_json:
        pairs_of_truth = {"pairs": len(links), "with_unknown_ids": unknown}
        print_json(
            {
                **plain(figures),
                "truth": pairs_of_truth,
                "read": tally.as_dict(),
                "bad_rows": bad_rows([*bad, *bad_links]),
            }
        )
    else:
        show_stream(figures)
        for line in tally.lines():
            out.print(printable(line))
        show_bad([*bad, *bad_links])
    context.exit(exit_code(len(found), len(bad) + len(bad_links)))


def _pair_judge(gathered: PairSet, model: str, vectors: Path | None, *, alone: bool) -> PairJudge:
    encoders = RecordedEncoders(catalogue(load_settings()), model, vectors)
    messages, settings = Messages(load_settings().message_rules), CollectionSettings()
    compared = replace(gathered, items=tuple(messages.compared(item, settings) for item in gathered.items))
    with _kept(encoders), progress_bar() as bar:
        task = bar.add_task("embedded", total=len(gathered.items))
        made = embed(
            encoders.encoder(model),
            [clean(item.content) for item in compared.items],
            lambda count: bar.advance(task, count),
        )
    both = zip(gathered.items, compared.items, strict=True)
    return PairJudge(compared, made, alone=alone, whole=[messages.told(*one, settings) for one in both])


@contextmanager
def _kept(encoders: RecordedEncoders) -> Iterator[None]:
    """Keep the vectors made until then, even when interrupted."""
    try:
        yield
    finally:
        encoders.recorded.save()
