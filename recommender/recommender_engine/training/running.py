"""One run of training: measure, train, choose, measure again, write the model directory.

Importing this module imports torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import EarlyStoppingCallback, set_seed

from recommender_engine.embedding.sentence_transformer import no_progress_bars
from recommender_engine.errors import ConfigurationError
from recommender_engine.files import fsync, whole_directory
from recommender_engine.training.bases import Base
from recommender_engine.training.checkpoints import RunFolder, Started
from recommender_engine.training.examples import Examples, Parts, text_digest
from recommender_engine.training.manifest import Data, Figure, Manifest, card, digests_of, write_manifest
from recommender_engine.training.settings import TrainingSettings
from recommender_engine.training.trainers import Pace, Progress, quietened
from recommender_engine.training.tutors import Tutor


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the examples come from.

    Attributes:
        sources: names of the files, or of the collection.
        collection: whose answers they are, if they are a collection's.
        items: digests of the items that the texts are of.
        pool: texts of the collection, with the group of each, that hard negatives may come from.
    """

    sources: tuple[str, ...]
    collection: str | None = None
    items: tuple[str, ...] = ()
    pool: Mapping[str, str] = field(default_factory=dict)


def train(
    tutor: Tutor,
    base: Base,
    parts: Parts,
    settings: TrainingSettings,
    output: Path,
    origin: Origin,
    told: Callable[[Progress], None] = lambda progress: None,
) -> Manifest:
    """Train a model and write it as a directory. A run that was killed goes on where its last checkpoint is.

    Args:
        tutor: of the kind of model.
        base: to begin with.
        parts: the examples.
        settings: of the run.
        output: the directory; it must not exist.
        origin: of the examples.
        told: called after each step.

    Raises:
        ConfigurationError: the directory exists; or an interrupted run for it has other settings, base or data; or the
            held-out part cannot be measured by.
    """
    if output.exists():
        raise ConfigurationError(f"{output} exists: give a directory that does not")
    with no_progress_bars():
        return _run(tutor, base, parts, settings, output, origin, told)


def _run(
    tutor: Tutor,
    base: Base,
    parts: Parts,
    settings: TrainingSettings,
    output: Path,
    origin: Origin,
    told: Callable[[Progress], None],
) -> Manifest:
    folder = RunFolder(output)
    set_seed(settings.seed)
    tutor.open(base, settings, parts)
    key = _key(tutor, base, parts, settings, origin)
    found = folder.started(key)
    if found is None:
        shaped = tutor.shaped(parts.train, origin.pool)
        if len(shaped) < settings.batch_size:
            raise ConfigurationError(
                f"{len(shaped)} examples to train on are less than one batch of {settings.batch_size}"
            )
        started = Started(
            key=key, precision=tutor.precision(settings.precision, shaped), before=_figures(tutor, parts, fresh=True)
        )
        folder.start(started, shaped)
    else:
        started, shaped = found
    set_seed(settings.seed)
    steps, best_step, seconds = _trained(tutor, shaped, parts, settings, started.precision, folder, told)
    after = _figures(tutor, parts, fresh=False)
    with whole_directory(output) as directory:
        tutor.save(directory)
        manifest = Manifest(
            kind=tutor.kind,
            model=tutor.digest_in(directory),
            base=base.name,
            base_model=base.digest,
            collection=origin.collection,
            data=Data(
                digest=parts.digest,
                sources=origin.sources,
                shape=parts.train.shape.value,
                trained_as=shaped.shape.value,
                train=len(shaped),
                held_out=len(parts.held_out),
                test=len(parts.test),
                shared_texts=parts.shared,
                classes=parts.train.classes,
            ),
            loss=tutor.loss_class,
            pooling=tutor.pooling,
            settings=settings.model_copy(update={"precision": started.precision}),
            steps=steps,
            best_step=best_step,
            seconds=round(seconds, 1),
            figures=tuple(
                Figure(part=part, measure=tutor.measure, before=started.before[part], after=figure)
                for part, figure in after.items()
                if figure is not None
            ),
            texts=tuple(sorted(map(text_digest, shaped.distinct))),
            items=tuple(sorted(origin.items)),
            files={},
        )
        (directory / "README.md").write_text(card(manifest))
        manifest = manifest.model_copy(update={"files": digests_of(directory)})
        write_manifest(directory, manifest)
        for path in directory.rglob("*"):
            if path.is_file():
                fsync(path)
    folder.remove()
    return manifest


def _trained(
    tutor: Tutor,
    examples: Examples,
    parts: Parts,
    settings: TrainingSettings,
    precision: str,
    folder: RunFolder,
    told: Callable[[Progress], None],
) -> tuple[int, int, float]:
    """Train to the end; returns the steps trained, the step of the weights that are kept, and seconds."""
    choosing = len(parts.held_out) > 0
    pace = Pace(None if settings.minutes is None else 60 * settings.minutes, told)
    callbacks: list[Any] = [pace]
    if choosing:
        callbacks.append(EarlyStoppingCallback(settings.patience))
    trainer = quietened(tutor.trainer(examples, parts.held_out, settings, precision, folder.checkpoints, callbacks))
    last = folder.last()
    if last is not None and _is_over(last[1], settings):
        path, state = last
        kept = state["best_model_checkpoint"] if choosing else str(path)
        trainer._load_from_checkpoint(kept)  # noqa: SLF001 (what train() calls to resume)
        steps, best = state["global_step"], state["best_global_step"]
        seconds = _attributes(state, "Pace").get("elapsed_s", 0.0)
    else:
        trainer.train(resume_from_checkpoint=None if last is None else str(last[0]))
        steps, best, seconds = trainer.state.global_step, trainer.state.best_global_step, pace.elapsed_s
    return steps, best if choosing and best else steps, seconds


def _is_over(state: Mapping[str, Any], settings: TrainingSettings) -> bool:
    """Whether a run ended with a checkpoint: it was killed while it measured, or wrote its directory."""
    waited = _attributes(state, "EarlyStoppingCallback").get("early_stopping_patience_counter", 0)
    took_s = _attributes(state, "Pace").get("elapsed_s", 0.0)
    return bool(
        state["global_step"] >= state["max_steps"]
        or waited >= settings.patience
        or (settings.minutes is not None and took_s >= 60 * settings.minutes)
    )


def _attributes(state: Mapping[str, Any], callback: str) -> dict[str, Any]:
    found: dict[str, Any] = state.get("stateful_callbacks", {}).get(callback, {}).get("attributes", {})
    return found


def _figures(tutor: Tutor, parts: Parts, *, fresh: bool) -> dict[str, float | None]:
    named: Sequence[tuple[str, Examples]] = (("held_out", parts.held_out), ("test", parts.test))
    return {name: tutor.figure(part, fresh=fresh) for name, part in named if len(part)}


def _key(tutor: Tutor, base: Base, parts: Parts, settings: TrainingSettings, origin: Origin) -> str:
    said = [
        tutor.kind,
        base.digest,
        parts.digest,
        settings.model_dump_json(),
        str(origin.sources),
        hashlib.sha256(repr(sorted(origin.pool.items())).encode()).hexdigest(),
        torch.__version__,
    ]
    return hashlib.sha256("\0".join(said).encode()).hexdigest()
