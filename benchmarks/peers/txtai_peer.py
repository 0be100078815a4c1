"""``python -m benchmarks.peers.txtai_peer``: search, then upsert, a block at a time, as its documentation has it.

Both take texts, so a text that is searched for and then added is embedded twice.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import torch
from txtai import Embeddings

from benchmarks.child import Answer, serve
from recommender_engine.embedding.model_files import locate
from recommender_engine.embedding.model_source import ALL_MINILM_L6_V2

_NEIGHBOURS = 10
_MODEL = str(locate(ALL_MINILM_L6_V2))


def load(request: Mapping[str, Any]) -> Answer:
    torch.set_num_threads(request["threads"])
    return run({**request, "block": len(request["texts"])})


def run(request: Mapping[str, Any]) -> Answer:
    embeddings = Embeddings(path=_MODEL, content=True)
    texts, block = request["texts"], request["block"]
    started = time.perf_counter()
    for start in range(0, len(texts), block):
        batch = texts[start : start + block]
        if start:
            embeddings.batchsearch(batch, _NEIGHBOURS)
        embeddings.upsert([(str(start + place), text, None) for place, text in enumerate(batch)])
    seconds = time.perf_counter() - started
    embeddings.close()
    return {"seconds": seconds}


if __name__ == "__main__":
    serve({"load": load, "run": run})
