"""Building a graph while the index goes on serving."""

from __future__ import annotations

import threading

from recommender_engine.event_log import event_log
from recommender_engine.index.flat import FrozenVectors
from recommender_engine.index.graph import HnswGraph

_CHUNK = 256  # vectors between two checks whether to stop: about a tenth of a second

_log = event_log(__name__)


class BackgroundBuild:
    """Adds vectors to a graph in one thread of its own; hnswlib lets go of the GIL meanwhile.

    Until it is done no other thread may use the graph.
    """

    def __init__(self, graph: HnswGraph, vectors: FrozenVectors) -> None:
        self._graph = graph
        self._vectors = vectors
        self._error: Exception | None = None
        self._stop = threading.Event()
        # Not a daemon: at the end of the interpreter a daemon thread dies inside hnswlib and takes the process with it.
        self._thread = threading.Thread(target=self._run, name="index-build")
        self._thread.start()

    def __len__(self) -> int:
        """Vectors that it adds."""
        return len(self._vectors)

    @property
    def done(self) -> bool:
        """Whether there is a ``result``."""
        return not self._thread.is_alive()

    def wait(self, timeout_s: float) -> None:
        """Return when it is done, or after ``timeout_s`` seconds."""
        self._thread.join(timeout_s)

    def result(self) -> HnswGraph:
        """The graph with the vectors in it, once done; raises whatever ended the build early."""
        if self._error is not None:
            raise self._error
        return self._graph

    def abandon(self) -> None:
        """Stop within one chunk, and wait for it."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        main = threading.main_thread()
        try:
            for labels, vectors in self._vectors.chunks(_CHUNK):
                if self._stop.is_set() or not main.is_alive():  # the interpreter waits for this thread before it ends
                    _log.info("index.build_abandoned", extra={"vectors": len(self)})
                    return
                self._graph.add(labels, vectors)
        except Exception as error:
            self._error = error
