"""How a model is trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from recommender_engine.items.values import Value

Pooling = Literal["mean", "max", "cls"]
Precision = Literal["auto", "float32", "bfloat16"]


class TrainingSettings(Value):
    """Everything that decides the weights beside base model and data.

    Attributes:
        loss: its name; ``None``: by the shape of the data.
        pooling: of the token embeddings; ``None``: as the base model has it.
        epochs: passes over the training part at most.
        minutes: of training at most; the run then ends with the best weights so far.
        batch_size: examples in a step.
        learning_rate: at its highest, after the warm-up.
        warmup: share of the steps in which the rate rises to that; it falls to 0 afterwards.
        max_tokens: of a text that are read in training; with the batch size it bounds the memory of a step.
        patience: evaluations without a better figure after which training stops.
        seed: of the split, the order of the examples, dropout and new weights.
        precision: number type of the forward pass; ``auto``: bfloat16 where it is faster, measured.
    """

    loss: str | None = None
    pooling: Pooling | None = None
    epochs: Annotated[float, Field(gt=0, le=1000)] = 2.0
    minutes: Annotated[float, Field(gt=0)] | None = None
    batch_size: Annotated[int, Field(ge=2, le=4096)] = 16
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 2e-5
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    max_tokens: Annotated[int, Field(ge=8, le=8192)] = 128
    patience: Annotated[int, Field(ge=1)] = 4
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    precision: Precision = "auto"
