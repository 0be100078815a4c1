"""Whether training computes in bfloat16: where a step is faster in it.

Importing this module imports torch.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
from sentence_transformers.util import batch_to_device

from recommender_engine.training.settings import Precision

_ROUNDS = 2
_GAIN = 0.9


def chosen_precision(wanted: Precision, model: Any, inputs: Sequence[Any], output: str) -> str:
    """``float32`` or ``bfloat16``.

    Args:
        wanted: by the settings; ``auto`` measures, on a GPU it asks what the hardware has.
        model: of sentence-transformers.
        inputs: a batch of what it takes: texts, or pairs of texts.
        output: name of its output.
    """
    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    features = batch_to_device(model.preprocess(inputs), model.device)

    def step_s(*, low: bool) -> float:
        """Processor time of one step forward and back: other work on the machine counts little in it."""
        started = time.process_time()
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            made = model(dict(features))[output]
        made.float().sum().backward()
        return time.process_time() - started

    step_s(low=False)
    took = {low: min(step_s(low=low) for _ in range(_ROUNDS)) for low in (False, True)}
    model.zero_grad()
    return "bfloat16" if took[True] < _GAIN * took[False] else "float32"
