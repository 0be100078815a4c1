"""``python -m benchmarks.peers.semhash_peer``: all texts at once, deduplicated, with the same model as the others."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from semhash import SemHash
from sentence_transformers import SentenceTransformer

from benchmarks.child import Answer, serve
from recommender_engine.embedding.model_files import locate
from recommender_engine.embedding.model_source import ALL_MINILM_L6_V2


class Encoder:
    """The interface of an encoder for semhash."""

    def __init__(self) -> None:
        self._model = SentenceTransformer(str(locate(ALL_MINILM_L6_V2)), local_files_only=True)

    def encode(self, inputs: Sequence[Any] | Any, **options: Any) -> Any:
        return self._model.encode(list(inputs), batch_size=32, show_progress_bar=False)


class Peer:
    def __init__(self) -> None:
        self._encoder = Encoder()

    def load(self, request: Mapping[str, Any]) -> Answer:
        torch.set_num_threads(request["threads"])
        return self.run(request)

    def run(self, request: Mapping[str, Any]) -> Answer:
        started = time.perf_counter()
        made = SemHash.from_records(request["texts"], model=self._encoder)
        selected = made.self_deduplicate().selected
        return {"seconds": time.perf_counter() - started, "selected": len(selected)}


if __name__ == "__main__":
    peer = Peer()
    serve({"load": peer.load, "run": peer.run})
