"""The two kinds of model that can be trained: what differs between them.

Importing this module imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from datasets import Dataset
from safetensors.torch import save_file
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers.cross_encoder import CrossEncoderTrainingArguments
from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss
from sentence_transformers.sentence_transformer import SentenceTransformerTrainingArguments

from recommender_engine.embedding.model_files import fingerprint_of, verify
from recommender_engine.embedding.model_source import ModelSource
from recommender_engine.errors import ConfigurationError
from recommender_engine.training.bases import Base, open_bi_encoder, pooling_of, unit_vectors
from recommender_engine.training.cross_encoders import open_cross_encoder, probabilities
from recommender_engine.training.examples import Examples, Parts, Shape
from recommender_engine.training.losses import Loss, choose
from recommender_engine.training.manifest import CLASSIFIER
from recommender_engine.training.measuring import MEASURES, measured, of_scores
from recommender_engine.training.negatives import shaped
from recommender_engine.training.precision import chosen_precision
from recommender_engine.training.settings import Precision, TrainingSettings
from recommender_engine.training.trainers import BiEncoderTrainer, HeldOut, PairTrainer, arguments

_MEASURED_ON = 16  # texts


class Tutor(Protocol):
    """Trains one kind of model; opened once, for one run."""

    loss_class: str
    measure: str
    pooling: str

    @property
    def kind(self) -> Literal["bi-encoder", "cross-encoder"]:
        """Of model."""

    def open(self, base: Base, settings: TrainingSettings, parts: Parts) -> None:
        """Load the base model.

        Raises:
            ConfigurationError: the loss does not take these examples, or the model not this pooling.
            ModelError: it cannot be loaded.
        """

    def shaped(self, examples: Examples, pool: Mapping[str, str]) -> Examples:
        """Examples as the loss takes them."""

    def precision(self, wanted: Precision, examples: Examples) -> str:
        """The number type of training."""

    def figure(self, examples: Examples, *, fresh: bool) -> float | None:
        """The figure of the model; ``None`` where the base model (``fresh``) has none."""

    def trainer(
        self,
        examples: Examples,
        held_out: Examples,
        settings: TrainingSettings,
        precision: str,
        folder: Path,
        callbacks: list[Any],
    ) -> Any:
        """The trainer of sentence-transformers."""

    def save(self, directory: Path) -> None:
        """Write the model."""

    def digest_in(self, directory: Path) -> str:
        """The digest of the model that was written."""


class BiEncoderTutor:
    """Trains an encoder that gives a vector for a text."""

    kind: Literal["bi-encoder"] = "bi-encoder"

    def open(self, base: Base, settings: TrainingSettings, parts: Parts) -> None:
        """Load the base model, and choose the loss."""
        self._loss: Loss = choose(parts.train, settings.loss)
        self.loss_class, self.measure = self._loss.class_name, MEASURES[parts.train.shape]
        self._model: SentenceTransformer = open_bi_encoder(base, settings.pooling)
        self.pooling = pooling_of(self._model)
        self._reads = self._model.max_seq_length
        self._module = self._loss.make(self._model, len(parts.train.classes))
        self._cut = min(settings.max_tokens, self._reads or settings.max_tokens)

    def shaped(self, examples: Examples, pool: Mapping[str, str]) -> Examples:
        """Examples as the loss takes them, with hard negatives."""
        return shaped(examples, self._loss, lambda texts: unit_vectors(self._model, texts), pool)

    def precision(self, wanted: Precision, examples: Examples) -> str:
        """The number type of training."""
        texts = [one[0] for one in examples.texts[:_MEASURED_ON]]
        return chosen_precision(wanted, self._model, texts, "sentence_embedding")

    def figure(self, examples: Examples, *, fresh: bool) -> float | None:
        """The figure of the model."""
        if fresh and examples.shape is Shape.CLASSES:
            return None
        self._model.eval()
        return measured(self._model, examples, self._classifier)

    @property
    def _classifier(self) -> torch.nn.Linear | None:
        return getattr(self._module, "classifier", None)

    def trainer(
        self,
        examples: Examples,
        held_out: Examples,
        settings: TrainingSettings,
        precision: str,
        folder: Path,
        callbacks: list[Any],
    ) -> Any:
        """The trainer of sentence-transformers."""
        self._model.max_seq_length = self._cut
        return BiEncoderTrainer(
            model=self._model,
            args=arguments(
                SentenceTransformerTrainingArguments,
                folder,
                settings,
                examples=len(examples),
                precision=precision,
                choosing=len(held_out) > 0,
                distinct=self._loss.distinct,
            ),
            train_dataset=Dataset.from_dict(examples.columns()),
            loss=self._module,
            evaluator=HeldOut(lambda model: measured(model, held_out, self._classifier), precision)
            if len(held_out)
            else None,
            callbacks=callbacks,
        )

    def save(self, directory: Path) -> None:
        """Write the model, which reads as much of a text as the base does, and the classifier if there is one."""
        self._model.max_seq_length = self._reads
        self._model.save_pretrained(str(directory), create_model_card=False)
        if self._classifier is not None:
            state = {name: tensor.contiguous() for name, tensor in self._classifier.state_dict().items()}
            save_file(state, directory / CLASSIFIER)

    def digest_in(self, directory: Path) -> str:
        """As an encoder over that directory names it."""
        return fingerprint_of(verify(directory, ModelSource(directory.name, directory)), int(self._reads or 0))


class CrossEncoderTutor:
    """Trains an encoder that reads two texts at once and gives the probability that they are the same."""

    kind: Literal["cross-encoder"] = "cross-encoder"
    loss_class = "BinaryCrossEntropyLoss"
    pooling = ""

    def open(self, base: Base, settings: TrainingSettings, parts: Parts) -> None:
        """Load the base model with a new head of one number, or a cross-encoder with its own."""
        if parts.train.shape not in (Shape.SCORES, Shape.ANSWERS):
            raise ConfigurationError(
                f"a cross-encoder is trained on scores or answers (0 and 1), not on {parts.train.shape.value}"
            )
        if settings.loss is not None or settings.pooling is not None:
            raise ConfigurationError("a cross-encoder has one loss and no pooling: leave out --loss and --pooling")
        self.measure = MEASURES[parts.train.shape]
        self._model: CrossEncoder = open_cross_encoder(base, settings.max_tokens)

    def shaped(self, examples: Examples, pool: Mapping[str, str]) -> Examples:
        """As they are."""
        return examples

    def precision(self, wanted: Precision, examples: Examples) -> str:
        """The number type of training."""
        pairs = [list(one) for one in examples.texts[:_MEASURED_ON]]
        return chosen_precision(wanted, self._model, pairs, "scores")

    def figure(self, examples: Examples, *, fresh: bool) -> float | None:
        """The figure of the model; a new head has none."""
        return None if fresh else self._figure(self._model, examples)

    @staticmethod
    def _figure(model: CrossEncoder, examples: Examples) -> float:
        return of_scores(probabilities(model, examples.texts), examples)

    def trainer(
        self,
        examples: Examples,
        held_out: Examples,
        settings: TrainingSettings,
        precision: str,
        folder: Path,
        callbacks: list[Any],
    ) -> Any:
        """The trainer of sentence-transformers."""
        columns = examples.columns()
        columns["label"] = [float(target) for target in examples.targets]
        return PairTrainer(
            model=self._model,
            args=arguments(
                CrossEncoderTrainingArguments,
                folder,
                settings,
                examples=len(examples),
                precision=precision,
                choosing=len(held_out) > 0,
                distinct=False,
            ),
            train_dataset=Dataset.from_dict(columns),
            loss=BinaryCrossEntropyLoss(self._model),
            evaluator=HeldOut(lambda model: self._figure(model, held_out), precision) if len(held_out) else None,
            callbacks=callbacks,
        )

    def save(self, directory: Path) -> None:
        """Write the model."""
        self._model.save_pretrained(str(directory), create_model_card=False)

    def digest_in(self, directory: Path) -> str:
        """Over weights, tokenizer and length."""
        digests = verify(directory, ModelSource(directory.name, directory))
        return fingerprint_of(digests, int(self._model.max_seq_length or 0))
