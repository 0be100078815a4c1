"""The trainers of sentence-transformers as runs here use them: seeded, quiet, with all that is learned in a checkpoint.

Importing this module imports torch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers.base.evaluation import BaseEvaluator
from sentence_transformers.base.sampler import BatchSamplers, DefaultBatchSampler
from sentence_transformers.cross_encoder import CrossEncoderTrainer, CrossEncoderTrainingArguments
from sentence_transformers.sentence_transformer import (
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState, PrinterCallback

from recommender_engine.training.settings import TrainingSettings

HELD_OUT = "held_out"
_LOSS = "loss.safetensors"
_MOST_STEPS_APART = 500


class Progress(NamedTuple):
    """How far a run is.

    Attributes:
        step: steps trained.
        steps: of the whole run at most.
        seconds_left: until then, at the pace so far.
        figure: of the last evaluation on the held-out part; ``None`` before the first.
    """

    step: int
    steps: int
    seconds_left: float
    figure: float | None


class SeededBatches(DefaultBatchSampler):
    """Batches in a random order that depends on seed and epoch alone, so that a resumed run takes the same.

    Args:
        dataset: the examples.
        options: of the base class.
    """

    def __init__(self, dataset: Any, **options: Any) -> None:
        super().__init__(dataset, **options)
        self._count = len(dataset)

    def __iter__(self) -> Iterator[list[int]]:
        """Places of the examples of each batch."""
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        order = torch.randperm(self._count, generator=generator).tolist()
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size]
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch


class Pace(TrainerCallback, ExportableState):
    """Tells the progress, and ends a run whose time is over; seconds count over all its processes.

    Args:
        seconds: of training at most; ``None``: no limit.
        told: called after each step.
    """

    def __init__(self, seconds: float | None, told: Callable[[Progress], None]) -> None:
        self.elapsed_s = 0.0
        self._most_s = seconds
        self._told = told
        self._since_s = 0.0
        self._before_s = 0.0
        self._first_step = 0

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of it."""
        return {"args": {}, "attributes": {"elapsed_s": self.elapsed_s}}

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Start the clock."""
        self._since_s, self._before_s, self._first_step = time.monotonic(), self.elapsed_s, state.global_step

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Tell, and look at the time."""
        here_s = time.monotonic() - self._since_s
        self.elapsed_s = self._before_s + here_s
        steps = state.global_step - self._first_step
        left_s = here_s / max(steps, 1) * (state.max_steps - state.global_step)
        over = self._most_s is not None and self.elapsed_s >= self._most_s
        if self._most_s is not None:
            left_s = max(0.0, min(left_s, self._most_s - self.elapsed_s))
        figures = [one[f"eval_{HELD_OUT}"] for one in state.log_history if f"eval_{HELD_OUT}" in one]
        self._told(Progress(state.global_step, state.max_steps, left_s, figures[-1] if figures else None))
        if over:
            control.should_training_stop = control.should_save = True
            control.should_evaluate = args.eval_strategy != "no"


class HeldOut(BaseEvaluator):
    """The figure by which weights are chosen.

    Args:
        figure: of the model.
        precision: ``bfloat16`` measures in it, as training computes.
    """

    def __init__(self, figure: Callable[[Any], float], precision: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._figure = figure
        self._low = precision == "bfloat16"

    def __call__(
        self, model: Any, output_path: str | None = None, epoch: float = -1, steps: int = -1
    ) -> dict[str, float]:
        """Measure the model, without dropout."""
        training = model.training
        model.eval()
        try:
            with torch.autocast(model.device.type, torch.bfloat16, enabled=self._low):
                return {HELD_OUT: self._figure(model)}
        finally:
            model.train(training)


class _Whole:
    """Saves and loads what the loss learns with the model, and writes no cards and no pickles of arguments."""

    model: Any
    loss: Any
    state: Any

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """None: the card is our own."""

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        if output_dir is None:  # by the signature; a checkpoint always has one
            raise ValueError("a checkpoint needs a directory")
        Path(output_dir).mkdir(parents=True, exist_ok=True)
        self.model.save_pretrained(output_dir, create_model_card=False)
        if learned := _learned(self.loss):
            save_file(learned, Path(output_dir) / _LOSS)

    def _load_from_checkpoint(self, checkpoint_path: str) -> None:
        super()._load_from_checkpoint(checkpoint_path)  # type: ignore[misc]
        if _learned(self.loss):
            self.loss.load_state_dict(load_file(Path(checkpoint_path) / _LOSS), strict=False)

    def _load_best_model(self) -> None:
        # The one of the library goes on with the last weights when those cannot be loaded.
        self._load_from_checkpoint(self.state.best_model_checkpoint)


class BiEncoderTrainer(_Whole, SentenceTransformerTrainer):  # type: ignore[misc]
    """Trains a bi-encoder."""


class PairTrainer(_Whole, CrossEncoderTrainer):  # type: ignore[misc]
    """Trains a cross-encoder."""


def _learned(loss: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The weights of a loss that are not the model's."""
    return {name: tensor.contiguous() for name, tensor in loss.state_dict().items() if not name.startswith("model.")}


def arguments(
    kind: type[SentenceTransformerTrainingArguments] | type[CrossEncoderTrainingArguments],
    folder: Path,
    settings: TrainingSettings,
    *,
    examples: int,
    precision: str,
    choosing: bool,
    distinct: bool,
) -> Any:
    """The arguments of a trainer.

    Args:
        kind: of the arguments.
        folder: of the checkpoints.
        settings: of the run.
        examples: in the training part.
        precision: that was chosen.
        choosing: whether there is a held-out part.
        distinct: whether a text may be in a batch only once.
    """
    steps = max(1, -(-examples // settings.batch_size))
    apart = min(_MOST_STEPS_APART, max(1, -(-steps // 2)))
    warmup = int(settings.warmup * steps * settings.epochs)
    return kind(
        output_dir=str(folder),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        warmup_steps=warmup,
        seed=settings.seed,
        bf16=precision == "bfloat16",
        use_cpu=not torch.cuda.is_available(),
        batch_sampler=BatchSamplers.NO_DUPLICATES if distinct else SeededBatches,
        eval_strategy="steps" if choosing else "no",
        eval_steps=apart,
        save_strategy="steps",
        save_steps=apart,
        save_total_limit=1,
        load_best_model_at_end=choosing,
        metric_for_best_model=f"eval_{HELD_OUT}" if choosing else None,
        greater_is_better=True if choosing else None,
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
    )


def quietened(trainer: Any) -> Any:
    """A trainer that prints nothing."""
    trainer.remove_callback(PrinterCallback)
    return trainer
