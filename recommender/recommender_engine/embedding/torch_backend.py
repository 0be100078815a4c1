"""The model computed by torch, in one of its number types."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from sentence_transformers import SentenceTransformer

from recommender_engine.embedding.encoder import Vectors
from recommender_engine.embedding.tokens import Inputs

# Padded tokens in one pass through the model. On a CPU the activations should stay in the cache: of 256 to 2,048
# tokens 768 was best or near it for short and for long texts on two cores. A GPU needs more to be busy.
_TOKENS_PER_PASS = {"cpu": 768, "cuda": 16_384}
_TYPES = {"torch-float32": torch.float32, "torch-bfloat16": torch.bfloat16, "torch-float16": torch.float16}


class TorchBackend:
    """The model as it is, its transformer computing in another number type.

    Pooling and the modules after it compute in float32: a mean over bfloat16 has three digits.

    Args:
        name: library and number type.
        model: loaded in float32; not changed.
        device: where it is.
    """

    passes_at_once = 1

    def __init__(self, name: str, model: SentenceTransformer, device: str) -> None:
        self.name = name
        self.tokens_per_pass = _TOKENS_PER_PASS[device]
        self._device = device
        transformer, *self._others = model
        type_ = _TYPES[name]
        self._transformer = transformer if type_ == torch.float32 else copy.deepcopy(transformer).to(type_)

    def embed(self, passes: Iterable[Inputs]) -> list[Vectors]:
        """Pooled vectors of each pass."""
        with torch.inference_mode():
            pooled = [self._pooled(inputs) for inputs in passes]
            # Only now: to fetch a result waits for it, and a GPU should have the next pass by then.
            return [vectors.float().cpu().numpy() for vectors in pooled]

    def _pooled(self, inputs: Inputs) -> torch.Tensor:
        features = {name: torch.from_numpy(rows).to(self._device) for name, rows in inputs.items()}
        features = self._transformer(features)
        features["token_embeddings"] = features["token_embeddings"].float()
        for module in self._others:
            features = module(features)
        pooled: torch.Tensor = features["sentence_embedding"]
        return pooled
