"""``SentenceTransformer.encode``, and the encoder of a worker, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.child import Child
from celery_recommender.measuring import WARM_UP
from celery_recommender.settings import Settings, environment_of_others, process_environment
from recommender_engine.embedding.processors import usable_processors


class Encoders:
    """``SentenceTransformer.encode``, and the encoder of a worker, each in a process of its own. A context manager.

    Args:
        settings: of the worker; its directory takes their logs.

    Attributes:
        stock: runs ``benchmarks.peers.stock``.
        alone: runs ``benchmarks.worker_encoder``.
        encoder: which encoder the worker has.
        threads: that each has.
    """

    def __init__(self, settings: Settings) -> None:
        self.threads = settings.threads or usable_processors()
        ours = {**process_environment(), **settings.to_environment()}
        with ExitStack() as stack:
            self.stock = stack.enter_context(_child("peers.stock", environment_of_others(), settings.state_dir))
            self.stock.ask("load", texts=WARM_UP, threads=self.threads)
            self.alone = stack.enter_context(_child("worker_encoder", ours, settings.state_dir))
            self.encoder = str(self.alone.ask("load", texts=WARM_UP)["encoder"])
            self._stack = stack.pop_all()

    def stock_rate(self, texts: Sequence[str]) -> float:
        """Items/s of ``encode(batch_size=32)`` in float32."""
        return len(texts) / float(self.stock.ask("encode", texts=texts)["seconds"])

    def alone_rate(self, texts: Sequence[str]) -> float:
        """Items/s of the worker's encoder, all texts at once."""
        return len(texts) / float(self.alone.ask("encode", texts=texts)["seconds"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


def _child(module: str, environment: Mapping[str, str], directory: Path) -> Child:
    return Child(f"benchmarks.{module}", environment, directory / f"{module}.log")
