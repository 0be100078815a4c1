"""One item at a time to a worker that has nothing else to do, each paired with one text to the encoder alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from celery_recommender.benchmark.child import Child
from celery_recommender.sandbox import RunningWorker

WARM_UP = tuple(
    f"Text number {number}, which is here to have everything loaded before it counts." for number in range(16)
)
"""No text that anybody measures with."""

_COLLECTION = "one-by-one"


@dataclass(frozen=True)
class Latencies:
    """Milliseconds, in pairs.

    Attributes:
        item_ms: from the append to the event.
        encode_ms: the same text to the encoder alone.
    """

    item_ms: tuple[float, ...]
    encode_ms: tuple[float, ...]


def warm_up(worker: RunningWorker) -> None:
    """Have a worker do everything once."""
    items = [{"id": text, "collection": "warm-up", "text": text} for text in WARM_UP]
    worker.client.outcome(worker.client.ingest_many(items)[-1], timeout_s=120)


def idle(worker: RunningWorker, encoder: Child, texts: Sequence[str], count: int, start: int = 0) -> Latencies:
    """Send items one by one, each after the event of the one before.

    Args:
        worker: that decides.
        encoder: runs ``celery_recommender.benchmark.alone``.
        texts: what they say; each gets a number, since a worker knows the texts it has seen.
        count: of items.
        start: their first number.
    """
    item_ms, encode_ms = [], []
    for number in range(start, start + count):
        text = f"{texts[number % len(texts)]} ({number})"
        item_ms.append(one_item_ms(worker, text, number))
        encode_ms.append(encoder.ask("encode", texts=[text])["seconds"] * 1000)
    return Latencies(tuple(item_ms), tuple(encode_ms))


def one_item_ms(worker: RunningWorker, text: str, number: int) -> float:
    """Milliseconds from the append to the event."""
    started = time.perf_counter()
    position = worker.client.ingest({"id": str(number), "collection": _COLLECTION, "text": text})
    worker.client.outcome(position, timeout_s=120)
    return (time.perf_counter() - started) * 1000
