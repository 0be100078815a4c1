"""The manifest of a trained model: what it was made of, what was measured, and the digests of its files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from recommender_engine.errors import ModelError
from recommender_engine.items.values import Value
from recommender_engine.training.settings import TrainingSettings

MANIFEST = "training.json"
CLASSIFIER = "classifier.safetensors"
"""Weights over (u, v, |u - v|) of a model that was trained with classes."""
_FORMAT = 1


class Data(Value):
    """The examples.

    Attributes:
        digest: SHA-256 over all of them, by part.
        sources: names of the files, or of the collection.
        shape: of the examples as they were given.
        trained_as: their shape as the loss took them.
        train, held_out, test: examples in each part; ``train`` as the loss took them.
        shared_texts: texts that are trained on and in another part too, where the file names the parts.
        classes: names of the classes.
    """

    digest: str
    sources: tuple[str, ...]
    shape: str
    trained_as: str
    train: int
    held_out: int
    test: int
    shared_texts: int
    classes: tuple[str, ...] = ()


class Figure(Value):
    """A measure before and after training.

    Attributes:
        part: ``held_out``, by which the weights were chosen, or ``test``.
        measure: name of it.
        before: with the base model; ``None`` where that has none, such as of classes.
        after: with the trained one.
    """

    part: str
    measure: str
    before: float | None
    after: float


class Manifest(Value):
    """Everything that is known of a trained model.

    Attributes:
        format: of this file.
        kind: a bi-encoder gives a vector for a text, a cross-encoder a probability for a pair.
        model: digest of the trained model, over weights, tokenizer and pooling.
        base: name of the model that training began with.
        base_model: its digest.
        collection: whose answers it was trained on, if they are a collection's.
        data: the examples.
        loss: class of sentence-transformers.
        pooling: of the model; of a cross-encoder empty.
        settings: everything that decides the weights beside base and data; ``precision`` as it was chosen.
        steps: that were trained.
        best_step: after which the weights were best on the held-out part; these are the ones kept.
        seconds: of training.
        figures: before and after.
        texts: digests of the texts that were trained on, see ``examples.text_digest``.
        items: digests of the items that they are of, see ``examples.item_digest``.
        files: SHA-256 in hex by path, of all other files.
    """

    format: int = _FORMAT
    kind: Literal["bi-encoder", "cross-encoder"]
    model: str
    base: str
    base_model: str
    collection: str | None
    data: Data
    loss: str
    pooling: str
    settings: TrainingSettings
    steps: int
    best_step: int
    seconds: float
    figures: tuple[Figure, ...]
    texts: tuple[str, ...]
    items: tuple[str, ...]
    files: dict[str, str]


def read_manifest(directory: Path) -> Manifest | None:
    """The manifest of a model directory; ``None`` for a model that was not trained here.

    Raises:
        ModelError: it cannot be read.
    """
    path = directory / MANIFEST
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise ModelError(f"{path} is no manifest of a trained model") from error


def require_unchanged(directory: Path) -> Manifest | None:
    """Check every file of a trained model against its manifest.

    Returns:
        The manifest; ``None`` for a model that was not trained here, which has none.

    Raises:
        ModelError: a file is missing, altered, or not in the manifest.
    """
    manifest = read_manifest(directory)
    if manifest is None:
        return None
    found = digests_of(directory)
    for name in sorted(found.keys() | manifest.files.keys()):
        expected, here = manifest.files.get(name, "no such file"), found.get(name, "no such file")
        if expected != here:
            raise ModelError(f"{directory / name}: {MANIFEST} expects SHA-256 {expected}, found {here}")
    return manifest


def digests_of(directory: Path) -> dict[str, str]:
    """SHA-256 in hex of each file but the manifest, by path inside the directory."""
    digests = {}
    for path in sorted(directory.rglob("*")):
        if path.is_file() and path.relative_to(directory).as_posix() != MANIFEST:
            with path.open("rb") as file:
                digests[path.relative_to(directory).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write the manifest beside the files that it names."""
    (directory / MANIFEST).write_text(json.dumps(manifest.model_dump(mode="json"), indent=1) + "\n")


def card(manifest: Manifest) -> str:
    """The model card: data, split, settings and figures, for people."""
    data, settings = manifest.data, manifest.settings
    rows = "\n".join(
        f"| {one.part.replace('_', ' ')} | {one.measure} | {'-' if one.before is None else f'{one.before:.4f}'} "
        f"| {one.after:.4f} |"
        for one in manifest.figures
    )
    return f"""---
library_name: sentence-transformers
tags: [{"sentence-transformers" if manifest.kind == "bi-encoder" else "cross-encoder"}]
---

# {manifest.kind} trained from {manifest.base}

Model `{manifest.model}`, base model `{manifest.base_model}`.

| part | measure | before | after |
| --- | --- | --- | --- |
{rows}

Data: {", ".join(data.sources) or "-"} (SHA-256 `{data.digest}`), {data.shape} trained as {data.trained_as}:
{data.train:,} examples trained on, {data.held_out:,} held out, {data.test:,} for the test; {data.shared_texts:,} texts
are trained on and in another part too.

Training: {manifest.loss}, {manifest.steps:,} steps of {settings.batch_size} examples ({settings.epochs:g} epochs at
most), learning rate {settings.learning_rate:g} after {settings.warmup:.0%} warm-up, {settings.max_tokens} tokens,
{settings.precision}, seed {settings.seed}, {manifest.seconds / 60:.1f} minutes. The weights are those of step
{manifest.best_step:,}{", the best on the held-out part" if data.held_out else ""}.
"""
