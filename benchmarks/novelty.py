"""Whether items of intents that never came before are stated as new: AUC of the novelty, through the engine.

    RECOMMENDER_TEST_DATA=... python -m benchmarks.novelty [--draws 5] [--vectors FILE]

Of the 77 intents of Banking77's test questions, fifteen are kept out at random. Three quarters of the questions of the
others arrive; then the rest of them and all questions of the fifteen arrive in turn, in random order, and each is
deleted again: none meets one of its own intent that was kept out. Vectors come from the default model, and are kept in
FILE for the next run.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from recommender_engine import Entry, EntryId, Recommender, decode_entry, open_recommender
from recommender_engine.embedding import KNOWN_MODELS, Encoder, ModelCatalogue
from recommender_engine.evaluation.vectors import RecordedEncoder, embed
from recommender_engine.items import DEFAULT_MODEL, ItemProcessed

KEPT_OUT, ARRIVED, BATCH = 15, 0.75, 200
START_MS = 1_700_000_000_000


class Recorded:
    """The default model, each text embedded once."""

    names = (DEFAULT_MODEL,)

    def __init__(self, path: Path) -> None:
        self.recorded = RecordedEncoder(lambda: ModelCatalogue(KNOWN_MODELS).encoder(DEFAULT_MODEL), path)

    def encoder(self, _name: str) -> Encoder:
        return self.recorded


class Stream:
    """An engine, and the ids of its entries."""

    def __init__(self, models: Recorded) -> None:
        self.engine: Recommender = open_recommender(None, models)
        self._last = EntryId(START_MS, 0)
        self.engine.process([self._entry("collection.configured", {"collection": "q", "settings": {"rule": "cosine"}})])

    def arrive(self, texts: Mapping[str, str], *, deleted: bool = False) -> list[float | None]:
        """The novelty of items that arrive; ``deleted``: each is taken out before the next arrives."""
        entries = []
        for id_, text in texts.items():
            entries.append(self._entry("item.upsert", {"collection": "q", "id": id_, "text": text}))
            if deleted:
                entries.append(self._entry("item.delete", {"collection": "q", "id": id_}))
        batches = (entries[start : start + BATCH] for start in range(0, len(entries), BATCH))
        events = (event.data for batch in batches for event in self.engine.process(batch))
        return [data.novelty for data in events if isinstance(data, ItemProcessed)]

    def _entry(self, type_: str, data: object) -> Entry:
        self._last = self._last.next_at(self._last.ms + 1000)
        return decode_entry(self._last, type_, json.dumps(data).encode())


def auc(models: Recorded, texts: list[str], intents: list[str], seed: int) -> float:
    """AUC of one draw of intents."""
    random = np.random.default_rng(seed)
    out = set(random.choice(sorted(set(intents)), KEPT_OUT, replace=False).tolist())
    order = random.permutation(len(texts)).tolist()
    known = [n for n in order if intents[n] not in out]
    first = known[: int(ARRIVED * len(known))]
    rest = [n for n in order if n not in set(first)]
    stream = Stream(models)
    stream.arrive({f"t{n}": texts[n] for n in first})
    found = stream.arrive({f"t{n}": texts[n] for n in rest}, deleted=True)
    stream.engine.close()
    return float(roc_auc_score([intents[n] in out for n in rest], found))


def main() -> None:
    """Print the AUC of each draw, and their mean."""
    parser = argparse.ArgumentParser(description="AUC of the novelty, with intents kept out.")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--vectors", type=Path, default=Path(tempfile.gettempdir()) / "novelty-vectors.npz")
    asked = parser.parse_args()
    path = Path(os.environ["RECOMMENDER_TEST_DATA"]) / "intent_banking77" / "tickets.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    models = Recorded(asked.vectors)
    texts, intents = [row["text"] for row in rows], [row["intent"] for row in rows]
    embed(models.recorded, texts)
    models.recorded.save()
    found = [auc(models, texts, intents, seed) for seed in range(asked.draws)]
    print(" ".join(f"{one:.3f}" for one in found), f"mean {np.mean(found):.3f}")


if __name__ == "__main__":
    main()
