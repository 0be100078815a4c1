"""``recommender train``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

import click

from celery_recommender.cli.asking import owner_or_state
from celery_recommender.cli.common import err, json_option, load_settings, out, print_json, printable, progress_bar
from celery_recommender.cli.input.labelled_files import FileRow
from celery_recommender.cli.input.mapping_options import FileOptions, mapping_options
from celery_recommender.cli.input.skipped import bad_rows, show_bad
from celery_recommender.cli.input.tally import exit_code
from celery_recommender.cli.learning.answers import answered_in
from celery_recommender.cli.learning.example_files import read_examples
from celery_recommender.cli.learning.models import named_model, require_training
from celery_recommender.cli.locating import located
from celery_recommender.settings import Settings
from recommender_engine.errors import ConfigurationError
from recommender_engine.items import DEFAULT_MODEL
from recommender_engine.training.examples import Parts
from recommender_engine.training.losses import LOSSES
from recommender_engine.training.manifest import Manifest
from recommender_engine.training.settings import Pooling, Precision, TrainingSettings

_DEFAULTS = TrainingSettings()


class _Given(NamedTuple):
    """What is trained on.

    Attributes:
        parts: the examples.
        origin: arguments of ``Origin``.
        bad: rows that were skipped.
    """

    parts: Parts
    origin: dict[str, Any]
    bad: list[FileRow]


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path(exists=True, dir_okay=False))
@mapping_options
@click.option(
    "--output",
    required=True,
    metavar="DIRECTORY",
    type=click.Path(path_type=Path),
    help="The model to write.",
)
@click.option(
    "--base", default=DEFAULT_MODEL, show_default=True, metavar="MODEL", help="Name or directory to begin with."
)
@click.option("--cross-encoder", is_flag=True, help="Train one that reads both texts at once, from scores or answers.")
@click.option("--loss", type=click.Choice(list(LOSSES)), help="[default: by the shape of the data]")
@click.option("--pooling", type=click.Choice(get_args(Pooling)), help="Of token embeddings.  [default: the model's]")
@click.option("--epochs", default=_DEFAULTS.epochs, show_default=True, type=click.FloatRange(0, 1000, min_open=True))
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Of training at most.")
@click.option("--batch-size", default=_DEFAULTS.batch_size, show_default=True, type=click.IntRange(2, 4096))
@click.option(
    "--learning-rate", default=_DEFAULTS.learning_rate, show_default=True, type=click.FloatRange(0, 1, min_open=True)
)
@click.option(
    "--warmup",
    default=_DEFAULTS.warmup,
    show_default=True,
    type=click.FloatRange(0, 1, max_open=True),
    help="Share of the steps in which the rate rises.",
)
@click.option(
    "--max-tokens",
    default=_DEFAULTS.max_tokens,
    show_default=True,
    type=click.IntRange(8, 8192),
    help="Of a text, read in training.",
)
@click.option(
    "--patience",
    default=_DEFAULTS.patience,
    show_default=True,
    type=click.IntRange(1),
    help="Evaluations without a gain before the end.",
)
@click.option(
    "--held-out",
    default=0.1,
    show_default=True,
    type=click.FloatRange(0, 0.5),
    help="Share to choose by, where no split says.",
)
@click.option("--seed", default=_DEFAULTS.seed, show_default=True, type=click.IntRange(0, 2**32 - 1))
@click.option("--precision", default=_DEFAULTS.precision, show_default=True, type=click.Choice(get_args(Precision)))
@json_option
@click.pass_context
def train(
    context: click.Context,
    /,
    files: tuple[str, ...],
    given: FileOptions,
    *,
    output: Path,
    base: str,
    cross_encoder: bool,
    held_out: float,
    as_json: bool,
    **options: Any,
) -> None:
    """Fine-tune a model on examples in FILEs, or on the answers in a collection.

    The columns decide the loss: `text1`, `text2`, `score` (cosine); `anchor`, `positive`, `negative` (triplet);
    `premise`, `hypothesis`, `label` with names of classes (softmax); `anchor`, `positive` (ranking); `text1`, `text2`
    or `left_*`, `right_*` and `label` with 1 and 0 (contrastive). A column `split` (`train`, `valid`, `test`) says
    what a row is for; otherwise a share is held out that has no text in common with the rest.

    An interrupted run goes on when it is started again with the same options.

    \b
    recommender train pairs.csv --output models/ours
    recommender train --collection tickets --output models/tickets --minutes 10
    recommender train products.csv --loss ranking --batch-size 64 --output models/products
    recommender train products.csv --cross-encoder --output models/judge
    """
    require_training()
    settings = load_settings()
    training = TrainingSettings(**options)
    if output.exists():
        raise ConfigurationError(f"{output} exists: give a directory that does not")
    if not output.absolute().parent.is_dir():
        raise ConfigurationError(f"there is no folder {output.absolute().parent}")
    source = named_model(base, settings)
    read = (
        _from_files(files, given, training, held_out, settings)
        if files
        else _from_collection(given.collection, training, held_out, settings)
    )
    manifest = _trained(source, read, training, output, cross_encoder=cross_encoder, threads=settings.threads)
    if as_json:
        told = manifest.model_dump(mode="json", exclude={"texts", "items", "files"})
        print_json({"path": str(output), **told, "bad_rows": bad_rows(read.bad)})
    else:
        _show(manifest, output)
    context.exit(exit_code(len(read.parts.train), len(read.bad)))


def _from_files(
    files: Sequence[str], given: FileOptions, training: TrainingSettings, share: float, settings: Settings
) -> _Given:
    read = read_examples(files, given, training.loss, settings.message_rules)
    for note in read.notes:
        err.print(printable(note), style="dim")
    show_bad(read.bad, err)
    parts = read.parts(share, training.seed)
    return _Given(parts, {"sources": tuple(Path(file).name for file in files)}, read.bad)


def _from_collection(collection: str, training: TrainingSettings, share: float, settings: Settings) -> _Given:
    with progress_bar() as bar, owner_or_state(located(settings, collection)) as ask:
        task = bar.add_task("fetched", total=None)
        found = answered_in(ask, collection, lambda count, total: bar.update(task, advance=count, total=total))
    origin = {
        "sources": (collection,),
        "collection": collection,
        "items": found.items,
        "pool": found.pool,
    }
    return _Given(found.parts(share, training.seed), origin, [])


def _trained(
    source: Any, read: _Given, training: TrainingSettings, output: Path, *, cross_encoder: bool, threads: int | None
) -> Manifest:
    # Imports torch and the trainer: seconds, which `--help` and a wrong option should not take.
    from recommender_engine.training.bases import find_base, use_threads
    from recommender_engine.training.running import Origin
    from recommender_engine.training.running import train as run
    from recommender_engine.training.tutors import BiEncoderTutor, CrossEncoderTutor

    use_threads(threads)
    parts = read.parts
    err.print(
        f"{len(parts.train):,} examples ({parts.train.shape.value}) to train on, {len(parts.held_out):,} held out,"
        f" {len(parts.test):,} to test with",
        style="dim",
    )
    with progress_bar() as bar:
        task = bar.add_task("steps", total=None)
        return run(
            CrossEncoderTutor() if cross_encoder else BiEncoderTutor(),
            find_base(source),
            parts,
            training,
            output,
            Origin(**read.origin),
            lambda told: bar.update(
                task,
                completed=told.step,
                total=told.steps,
                description="steps" if told.figure is None else f"steps (held out {told.figure:.4f})",
            ),
        )


def _show(manifest: Manifest, output: Path) -> None:
    for figure in manifest.figures:
        before = "" if figure.before is None else f"{figure.before:.4f} -> "
        out.print(f"{figure.part.replace('_', ' ')}: {figure.measure} {before}{figure.after:.4f}")
    out.print(
        f"{manifest.steps:,} steps in {manifest.seconds / 60:.1f} minutes, {manifest.loss}, weights of step"
        f" {manifest.best_step:,}"
    )
    out.print(printable(f"{output}: model {manifest.model}"))
    if any(one.part == "held_out" and one.before is not None and one.after <= one.before for one in manifest.figures):
        err.print("the held-out figure did not rise: keep the base model, or give more data", style="yellow")
