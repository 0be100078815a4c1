"""``recommender evaluate sts``, ``triplets``, ``nli`` and ``cross-encoder``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
import numpy as np

from celery_recommender.celery.worker.plugin import catalogue
from celery_recommender.cli.common import err, json_option, load_settings, out, print_json, printable
from celery_recommender.cli.input.mapping_options import FileOptions, mapping_options
from celery_recommender.cli.input.skipped import bad_rows, show_bad
from celery_recommender.cli.input.tally import exit_code
from celery_recommender.cli.learning.example_files import ExampleFiles, read_examples
from celery_recommender.cli.learning.models import named_model
from recommender_engine.embedding import Encoder
from recommender_engine.embedding.encoder import Vectors
from recommender_engine.errors import ConfigurationError
from recommender_engine.evaluation import Split, embed
from recommender_engine.evaluation.sentences import correlation, row_cosines, triplet_accuracy
from recommender_engine.items import DEFAULT_MODEL
from recommender_engine.training.examples import Examples, Shape

_DIGITS = 4


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        mapping_options,
        click.argument(
            "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(exists=True, dir_okay=False)
        ),
        click.option("--model", default=DEFAULT_MODEL, show_default=True, metavar="MODEL", help="Name or directory."),
        click.option(
            "--split",
            type=click.Choice([one.value for one in Split]),
            help="Rows to judge.  [default: test, where rows have splits]",
        ),
        json_option,
    ):
        function = option(function)
    return function


@click.command()
@_options
@click.pass_context
def sts(
    context: click.Context,
    /,
    files: tuple[str, ...],
    given: FileOptions,
    *,
    model: str,
    split: str | None,
    as_json: bool,
) -> None:
    """Judge embeddings by how far their cosines follow the scores of people: Spearman and Pearson correlation.

    FILE has the columns `text1`, `text2` (or `sentence1`, `sentence2`) and `score`, 0 to 1 or 0 to 5.

    \b
    recommender evaluate sts stsbenchmark.csv
    recommender evaluate sts stsbenchmark.csv --model models/ours --json
    """
    read, examples = _examples(files, given, split, "cosine", Shape.SCORES)
    one, other = _embedded(_encoder(model), examples)
    found = correlation(row_cosines(one, other), np.array(examples.targets))
    _tell(context, read, found.model_dump(), model, as_json=as_json)


@click.command()
@_options
@click.pass_context
def triplets(
    context: click.Context,
    /,
    files: tuple[str, ...],
    given: FileOptions,
    *,
    model: str,
    split: str | None,
    as_json: bool,
) -> None:
    """Judge embeddings by the share of triplets whose positive is closer to the anchor than the negative.

    FILE has the columns `anchor`, `positive` and `negative`.

    \b
    recommender evaluate triplets triplets.csv --model models/ours
    """
    read, examples = _examples(files, given, split, None, Shape.TRIPLETS)
    accuracy = triplet_accuracy(*_embedded(_encoder(model), examples))
    _tell(context, read, {"triplets": len(examples), "accuracy": accuracy}, model, as_json=as_json)


@click.command()
@_options
@click.pass_context
def nli(
    context: click.Context,
    /,
    files: tuple[str, ...],
    given: FileOptions,
    *,
    model: str,
    split: str | None,
    as_json: bool,
) -> None:
    """Judge the classifier of a model that `train` has trained with classes, such as entailment.

    FILE has the columns `premise` and `hypothesis` (or `text1`, `text2`) and `label`.

    \b
    recommender evaluate nli sick.csv --model models/nli
    """
    read, examples = _examples(files, given, split, "softmax", Shape.CLASSES)
    from recommender_engine.training.bases import find_base, open_bi_encoder, use_threads
    from recommender_engine.training.measuring import told_classes

    settings = load_settings()
    use_threads(settings.threads)
    base = find_base(named_model(model, settings))
    found = told_classes(open_bi_encoder(base, None), base.directory, examples)
    _tell(context, read, found.model_dump(), model, as_json=as_json)


@click.command("cross-encoder")
@_options
@click.option(
    "--cross-encoder", "judge", required=True, metavar="DIRECTORY", help="As `train --cross-encoder` wrote it."
)
@click.pass_context
def cross_encoder(
    context: click.Context,
    /,
    files: tuple[str, ...],
    given: FileOptions,
    *,
    model: str,
    judge: str,
    split: str | None,
    as_json: bool,
) -> None:
    """Compare a bi-encoder and a cross-encoder on pairs, in quality and in speed.

    FILE is as for `sts`, or has `text1`, `text2` or `left_*`, `right_*` and `label` with 1 and 0. The hours are to find
    the most similar pair among 10,000 sentences: 10,000 embeddings, or 49,995,000 pairs.

    \b
    recommender evaluate cross-encoder products.csv --cross-encoder models/judge --model models/ours
    """
    read, examples = _examples(files, given, split, None, Shape.SCORES, Shape.ANSWERS)
    from recommender_engine.training.bases import find_base, use_threads
    from recommender_engine.training.comparing import compared

    settings = load_settings()
    use_threads(settings.threads)
    found = compared(find_base(named_model(model, settings)), find_base(named_model(judge, settings)), examples)
    if as_json:
        print_json({**_rounded(found.model_dump()), "bad_rows": bad_rows(read.bad)})
    else:
        out.print(f"{found.pairs:,} pairs; {found.measure}")
        for name, side in (("bi-encoder", found.bi_encoder), ("cross-encoder", found.cross_encoder)):
            what = "texts" if name == "bi-encoder" else "pairs"
            out.print(
                printable(
                    f"{name} {side.model}: {side.figure:.4f}, {side.per_second:,.0f} {what}/s,"
                    f" {side.hours_for_10000:,.3g} h for 10,000 sentences"
                )
            )
        show_bad(read.bad)
    context.exit(exit_code(len(examples), len(read.bad)))


SENTENCE_EVALUATIONS = (sts, triplets, nli, cross_encoder)
"""Subcommands of ``recommender evaluate``."""


def _examples(
    files: tuple[str, ...], given: FileOptions, split: str | None, loss: str | None, *shapes: Shape
) -> tuple[ExampleFiles, Examples]:
    read = read_examples(files, given, loss, load_settings().message_rules)
    for note in read.notes:
        err.print(printable(note), style="dim")
    if read.examples.shape not in shapes:
        wanted = " or ".join(shape.value for shape in shapes)
        raise ConfigurationError(f"the rows are {read.examples.shape.value}; this takes {wanted}")
    if split is None and Split.TEST not in read.splits:
        return read, read.examples
    chosen = read.of(Split.TEST if split is None else Split(split))
    if not len(chosen):
        raise ConfigurationError(f"no row belongs to the split {split!r}")
    return read, chosen


def _encoder(model: str) -> Encoder:
    settings = load_settings()
    source = named_model(model, settings)
    if source.directory is not None:
        from recommender_engine.training.manifest import require_unchanged

        require_unchanged(source.directory)
    return catalogue(settings, source).encoder(source.name)


def _embedded(encoder: Encoder, examples: Examples) -> list[Vectors]:
    """Vectors of each column of texts."""
    distinct = examples.distinct
    made = embed(encoder, distinct, lambda count: None)
    places = {text: place for place, text in enumerate(distinct)}
    return [made[[places[text] for text in column]] for column in zip(*examples.texts, strict=True)]


def _tell(context: click.Context, read: ExampleFiles, figures: dict[str, Any], model: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"model": model, **_rounded(figures), "bad_rows": bad_rows(read.bad)})
    else:
        for name, value in figures.items():
            shown = f"{value:.4f}" if isinstance(value, float) else f"{value:,}"
            out.print(f"{name.replace('_', ' ')}: {shown}")
        show_bad(read.bad)
    context.exit(exit_code(len(read.examples), len(read.bad)))


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    return round(value, _DIGITS) if isinstance(value, float) else value
