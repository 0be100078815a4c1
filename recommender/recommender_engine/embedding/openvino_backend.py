"""The transformer compiled by OpenVINO for the processor it runs on. Pooling stays with torch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import torch

from recommender_engine.embedding.backend import Loaded
from recommender_engine.embedding.encoder import Vectors
from recommender_engine.embedding.openvino_model import load_openvino
from recommender_engine.embedding.tokens import Inputs
from recommender_engine.errors import ModelError

_TOKENS_PER_PASS = 1024


class OpenVinoBackend:
    """Computes in bfloat16 if the processor supports it, otherwise in float32; quantised parts in int8.

    Concurrent passes have one thread each: threads that share a pass wait for each other at every step.
    They are not bound to processors, which two workers on one machine would bind to the same ones.

    Args:
        name: of the backend.
        converted: gives the model as OpenVINO reads it.
        loaded: the model it came from, and the threads that it may keep busy.

    Raises:
        ModelError: the model cannot be converted.
    """

    def __init__(self, name: str, converted: Callable[[], Any], loaded: Loaded) -> None:
        self.name = name
        self.tokens_per_pass = _TOKENS_PER_PASS
        self.passes_at_once = loaded.threads
        _, *self._others = loaded.model
        try:
            compiled = compiled_for(loaded.threads, converted())
        except Exception as error:  # its errors have no common base class
            raise ModelError(f"the model cannot be converted for OpenVINO ({type(error).__name__})") from error
        self._names = {port.any_name for port in compiled.inputs}
        # One more than are computed concurrently, so that no thread has to wait.
        self._requests = [compiled.create_infer_request() for _ in range(loaded.threads + 1)]

    def embed(self, passes: Iterable[Inputs]) -> list[Vectors]:
        """Pooled vectors of each pass."""
        free, busy = deque(self._requests), deque[tuple[Any, Inputs]]()
        found: list[Vectors] = []
        try:
            for inputs in passes:
                if not free:
                    found.append(self._pooled(*busy[0]))
                    free.append(busy.popleft()[0])
                request = free.popleft()
                busy.append((request, inputs))
                request.start_async({name: inputs[name] for name in self._names})
            found += [self._pooled(*one) for one in busy]
        finally:
            for request, _ in busy:  # after an error nobody has waited for them
                request.wait()
        return found

    def _pooled(self, request: Any, inputs: Inputs) -> Vectors:
        request.wait()
        with torch.inference_mode():
            features: dict[str, Any] = {
                "token_embeddings": torch.from_numpy(request.get_output_tensor(0).data).float(),
                "attention_mask": torch.from_numpy(inputs["attention_mask"]),
            }
            for module in self._others:
                features = module(features)
            vectors: Vectors = features["sentence_embedding"].numpy()
        return vectors


def compiled_for(threads: int, model: Any) -> Any:
    """A model compiled for this processor, with as many concurrent passes as threads."""
    settings = {
        "PERFORMANCE_HINT": "THROUGHPUT",
        "INFERENCE_PRECISION_HINT": "bf16",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": threads,
        "ENABLE_CPU_PINNING": False,
    }
    return load_openvino().Core().compile_model(model, "CPU", settings)
