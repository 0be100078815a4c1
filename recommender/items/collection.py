"""Settings of one collection."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from recommender.items.values import Name, Value

DEFAULT_MODEL = "all-MiniLM-L6-v2"
Similarity = Annotated[float, Field(ge=-1.0, le=1.0)]


class CollectionSettings(Value):
    """How the items of one collection are compared. Every key has a default.

    Attributes:
        model: name of the embedding model; one of those the worker was started with.
        index: ``exact`` (flat), ``hnsw``, or ``auto``: exact while small, HNSW from ``AUTO_HNSW_FROM`` items on.
        candidates: how many nearest neighbours are looked at for each item.
        recommendations: how many similar items an event carries at most.
        duplicate_from: cosine similarity in [-1, 1] from which an item is a duplicate.
        review_from: … from which a person should look.
        similar_from: … from which an item counts as similar; also the floor for recommendations.
    """

    model: Name = DEFAULT_MODEL
    index: Literal["auto", "exact", "hnsw"] = "auto"
    candidates: Annotated[int, Field(ge=1, le=500)] = 50
    recommendations: Annotated[int, Field(ge=0, le=100)] = 10
    duplicate_from: Similarity = 0.86
    review_from: Similarity = 0.75
    similar_from: Similarity = 0.35

    @model_validator(mode="after")
    def _bands_in_order(self) -> Self:
        if not self.similar_from <= self.review_from <= self.duplicate_from:
            raise ValueError("similar_from, review_from and duplicate_from must not decrease in this order")
        return self
