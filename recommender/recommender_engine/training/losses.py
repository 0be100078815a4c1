"""The losses, by the shapes of examples that they take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from recommender_engine.errors import ConfigurationError
from recommender_engine.training.examples import Examples, Shape


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss.

    Attributes:
        name: as the command line calls it.
        class_name: of sentence-transformers.
        takes: shape of the examples that it is computed on.
        also: shapes that are turned into that one, see ``negatives.shaped``.
        make: from the model and the number of classes; imports torch.
        distinct: whether a text may be in a batch only once, because other rows of it serve as negatives.
    """

    name: str
    class_name: str
    takes: tuple[Shape, ...]
    also: tuple[Shape, ...]
    make: Callable[[Any, int], Any]
    distinct: bool = False

    def fits(self, shape: Shape) -> bool:
        """Whether examples of a shape can be used, as they are or turned into another."""
        return shape in self.takes or shape in self.also


def _cosine(model: Any, classes: int) -> Any:
    from sentence_transformers.sentence_transformer.losses import CosineSimilarityLoss

    return CosineSimilarityLoss(model)


def _triplet(model: Any, classes: int) -> Any:
    from sentence_transformers.sentence_transformer.losses import TripletLoss
    from sentence_transformers.sentence_transformer.losses.triplet import TripletDistanceMetric

    # The embeddings are compared by cosine, and a margin of 5 cannot be reached between unit vectors.
    return TripletLoss(model, distance_metric=TripletDistanceMetric.COSINE, triplet_margin=0.3)


def _softmax(model: Any, classes: int) -> Any:
    from sentence_transformers.sentence_transformer.losses import SoftmaxLoss

    return SoftmaxLoss(model, model.get_embedding_dimension(), classes)


def _ranking(model: Any, classes: int) -> Any:
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    return MultipleNegativesRankingLoss(model)


def _contrastive(model: Any, classes: int) -> Any:
    from sentence_transformers.sentence_transformer.losses import OnlineContrastiveLoss

    return OnlineContrastiveLoss(model)


LOSSES: dict[str, Loss] = {
    loss.name: loss
    for loss in (
        Loss("cosine", "CosineSimilarityLoss", (Shape.SCORES,), (Shape.ANSWERS,), _cosine),
        Loss("triplet", "TripletLoss", (Shape.TRIPLETS,), (Shape.POSITIVES, Shape.ANSWERS), _triplet),
        Loss("softmax", "SoftmaxLoss", (Shape.CLASSES,), (), _softmax),
        Loss(
            "ranking",
            "MultipleNegativesRankingLoss",
            (Shape.POSITIVES, Shape.TRIPLETS),
            (Shape.ANSWERS,),
            _ranking,
            distinct=True,
        ),
        Loss("contrastive", "OnlineContrastiveLoss", (Shape.ANSWERS,), (), _contrastive),
    )
}
"""Every loss by its name. A new one is a function and a line here."""

_BY_SHAPE = {
    Shape.SCORES: "cosine",
    Shape.TRIPLETS: "triplet",
    Shape.CLASSES: "softmax",
    Shape.POSITIVES: "ranking",
    Shape.ANSWERS: "contrastive",
}


def choose(examples: Examples, name: str | None) -> Loss:
    """The loss that is named, or the one for the shape of the examples.

    Raises:
        ConfigurationError: there is no such loss, or it does not take these examples.
    """
    named = name or _BY_SHAPE[examples.shape]
    if examples.shape is Shape.ANSWERS and name is None and all(examples.targets):
        named = "ranking"  # answers of one kind: other items serve as negatives
    loss = LOSSES.get(named)
    if loss is None:
        raise ConfigurationError(f"there is no loss {named!r}; there are {', '.join(LOSSES)}")
    if not loss.fits(examples.shape):
        fitting = ", ".join(one.name for one in LOSSES.values() if one.fits(examples.shape))
        raise ConfigurationError(f"the loss {named!r} does not take {examples.shape.value}; these do: {fitting}")
    return loss
