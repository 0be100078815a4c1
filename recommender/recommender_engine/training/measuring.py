"""How good a model is on labelled examples, by one figure for each shape of examples.

Importing this module imports torch.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer

from recommender_engine.errors import ConfigurationError
from recommender_engine.evaluation.metrics import ranking
from recommender_engine.evaluation.sentences import correlation, reciprocal_rank, row_cosines, triplet_accuracy
from recommender_engine.items.values import Value
from recommender_engine.training.bases import unit_vectors
from recommender_engine.training.examples import Examples, Shape
from recommender_engine.training.manifest import CLASSIFIER, read_manifest

MEASURES = {
    Shape.SCORES: "Spearman",
    Shape.TRIPLETS: "accuracy",
    Shape.CLASSES: "accuracy",
    Shape.POSITIVES: "mean reciprocal rank",
    Shape.ANSWERS: "average precision",
}
"""The figure for each shape; a higher one is better."""


class Classes(Value):
    """How often a classifier tells the class of a pair.

    Attributes:
        pairs: that were judged.
        accuracy: share that were told right, in [0, 1].
        of_the_most_frequent: what always telling the most frequent class would reach.
    """

    pairs: int
    accuracy: float
    of_the_most_frequent: float


def told_classes(model: SentenceTransformer, directory: Path, examples: Examples) -> Classes:
    """How often the classifier that was saved with a model tells the class.

    Args:
        model: gives the embeddings.
        directory: of the model.
        examples: with classes.

    Raises:
        ConfigurationError: the model has no classifier, or not for these classes.
    """
    manifest = read_manifest(directory)
    file = directory / CLASSIFIER
    if manifest is None or not file.exists():
        raise ConfigurationError(f"{directory} has no classifier: train it with classes and the loss 'softmax'")
    known = manifest.data.classes
    if unknown := sorted(set(examples.classes) - set(known)):
        raise ConfigurationError(f"the classifier tells {', '.join(known)}, not {', '.join(unknown)}")
    state = load_file(file)
    classifier = torch.nn.Linear(state["weight"].shape[1], state["weight"].shape[0])
    classifier.load_state_dict(state)
    numbers = [float(known.index(name)) for name in examples.classes]
    renamed = replace(examples, targets=tuple(numbers[int(one)] for one in examples.targets), classes=known)
    counts = Counter(renamed.targets)
    return Classes(
        pairs=len(renamed),
        accuracy=class_accuracy(model, renamed, classifier),
        of_the_most_frequent=max(counts.values()) / len(renamed),
    )


def measured(model: SentenceTransformer, examples: Examples, classifier: torch.nn.Linear | None = None) -> float:
    """The figure of a bi-encoder.

    Args:
        model: gives the vectors.
        examples: at least two.
        classifier: over (u, v, |u - v|), for examples with classes.

    Raises:
        ConfigurationError: the examples are too few or all of one kind.
    """
    if examples.shape is Shape.CLASSES:
        return class_accuracy(model, examples, classifier)
    columns = [unit_vectors(model, texts) for texts in zip(*examples.texts, strict=True)]
    if examples.shape is Shape.TRIPLETS:
        return triplet_accuracy(*columns)
    if examples.shape is Shape.POSITIVES:
        return reciprocal_rank(*columns)
    return of_scores(row_cosines(*columns), examples)


def of_scores(scores: NDArray[np.float64], examples: Examples) -> float:
    """The figure of similarities or probabilities of pairs, against scores or answers.

    Raises:
        ConfigurationError: the examples are too few or all of one kind.
    """
    targets = np.array(examples.targets)
    if len(targets) < 2 or np.ptp(targets) == 0:
        raise ConfigurationError(
            f"{len(targets)} examples to measure with, all of one kind: hold out more, or give more examples"
        )
    if examples.shape is Shape.SCORES:
        return correlation(scores, targets).spearman
    return ranking(targets > 0, scores).average_precision


def class_accuracy(model: SentenceTransformer, examples: Examples, classifier: torch.nn.Linear | None) -> float:
    """Share of the pairs whose class the classifier over (u, v, |u - v|) tells."""
    if classifier is None:
        raise ConfigurationError("the model has no classifier: train it with classes and the loss 'softmax'")
    u, v = (_embedded(model, [texts[place] for texts in examples.texts]) for place in (0, 1))
    with torch.inference_mode():
        told = classifier(torch.cat([u, v, (u - v).abs()], dim=1).to(classifier.weight)).argmax(dim=1)
    return float((told.cpu().numpy() == np.array(examples.targets, np.int64)).mean())


def _embedded(model: SentenceTransformer, texts: list[str]) -> Any:
    """Embeddings as training sees them: of unit length only if the model makes them so."""
    return model.encode(texts, batch_size=64, show_progress_bar=False, convert_to_tensor=True).float()
