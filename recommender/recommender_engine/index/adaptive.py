"""An index that is exact while small and approximate when large; it serves searches while it changes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from recommender_engine.event_log import event_log
from recommender_engine.index.background import BackgroundBuild
from recommender_engine.index.flat import FlatIndex
from recommender_engine.index.graph import DEFAULT_PARAMETERS, HnswGraph, HnswParameters
from recommender_engine.index.hnsw import HnswIndex
from recommender_engine.index.nearest import Searched
from recommender_engine.index.recall import RECALL_AT, RecallKeeper
from recommender_engine.index.rows import FileRows, TooManyFiles
from recommender_engine.index.vector_index import Labels, SearchResult, Vectors

AUTO_HNSW_FROM = 20_000
"""Live vectors from which a graph pays. Below, one matrix product for a batch takes less time than a graph
does for its adds and searches (at 384 dimensions up to about 50,000), and one search alone a few milliseconds."""

MAX_TOMBSTONE_SHARE = 0.2
MIN_TOMBSTONES = 256  # with fewer no new graph is built, whatever their share

_CATCH_UP = 128  # vectors that the calling thread links itself: about a twentieth of a second …
_CATCH_UP_SHARE = 3  # … and, while a graph is behind, this many for each added vector
_CHANGES_BEFORE_RETRY = 1_000

_log = event_log(__name__)


class AdaptiveIndex:
    """A ``VectorIndex`` that grows a graph when it has enough vectors, and a new one when that has become bad.

    A graph is built in one background thread from the vectors as they are at that moment, while the index serves as
    before and takes every add and remove. When the build is done the next call brings the graph up to date and
    switches. If vectors come faster than the thread links them, the adding thread helps, a bounded number at a time. If
    a build fails, that is logged, nothing changes, and it is tried again some changes later.

    A graph has become bad when too many of its vectors are tombstones, or when its searches, as wide as they may be,
    find too little of what exact search finds.
    """

    def __init__(
        self,
        dimension: int,
        parameters: HnswParameters = DEFAULT_PARAMETERS,
        switch_at: int = AUTO_HNSW_FROM,
        restored: HnswIndex | None = None,
        directory: Path | None = None,
        k: int = RECALL_AT,
    ) -> None:
        """Start empty, or from a restored index of the same dimension, which then belongs to this one.

        Args:
            dimension: length of the vectors.
            parameters: of the graphs.
            switch_at: live vectors from which a graph is built; with 0 there is one from the start.
            restored: what ``snapshot.read`` returned.
            directory: on whose disk the vectors lie that the graph holds too; without one they are in memory twice.
            k: usual number of neighbours per query; recall is sampled with it.

        Raises:
            ValueError: ``restored`` has another dimension.
        """
        if restored is not None and restored.exact.dimension != dimension:
            raise ValueError(f"the restored index has dimension {restored.exact.dimension}, not {dimension}")
        if restored is None and switch_at <= 0:
            restored = HnswIndex.empty(dimension, parameters)
        self._dimension = dimension
        self._parameters = parameters
        self._switch_at = switch_at
        self._directory = directory
        self._k = k
        self._exact = FlatIndex(dimension) if restored is None else restored.exact
        self._hnsw: HnswIndex | None = None
        self._keeper: RecallKeeper | None = None
        self._build: BackgroundBuild | None = None
        self._behind: HnswGraph | None = None
        self._pending: Labels = np.empty(0, np.int64)  # that the graph which is behind lacks
        self._changes_to_wait = 0
        self._closed = False
        if restored is not None:
            self._serve(restored)

    def __len__(self) -> int:
        return len(self._exact)

    @property
    def kind(self) -> Literal["exact", "hnsw"]:
        """What serves now."""
        return self._serving.kind

    @property
    def hnsw(self) -> HnswIndex | None:
        """The index that serves now, if it is one that a snapshot can be taken of."""
        return self._hnsw

    @property
    def building(self) -> bool:
        """Whether a graph is being built."""
        return self._build is not None or self._behind is not None

    @property
    def changeable(self) -> bool:
        """Whether kind or recall may change although no vector is added or removed."""
        return self.building or (self._keeper is not None and self._keeper.sampling)

    @property
    def recall(self) -> float | None:
        """Recall@10 of the last sample, in [0, 1]; ``None`` while exact, or not sampled yet."""
        return None if self._keeper is None else self._keeper.look()

    def labels(self) -> Labels:
        """Live labels, ascending, shape (n,)."""
        return self._exact.labels()

    def add(self, labels: Labels, vectors: Vectors) -> None:
        """Add vectors of unit length, shape (n, dimension).

        Raises:
            ValueError: a vector is not finite or not of unit length, a label is negative or was used before.
        """
        self._advance()
        self._serving.add(labels, vectors)
        if self._behind is not None:
            self._pending = np.concatenate([self._pending, labels])
        self._changed(len(labels))

    def remove(self, labels: Labels) -> None:
        """Forget labels; unknown ones are ignored."""
        self._advance()
        self._serving.remove(labels)
        self._changed(len(labels))

    def search(self, queries: Vectors, k: int) -> SearchResult:
        """The ``k`` nearest vectors of each query, shape (queries, dimension); see ``kind`` for how near.

        Raises:
            ValueError: a query is not finite or not of unit length, or ``k`` is less than 1.
        """
        self._advance()
        return self._serving.search(queries, k)

    def only(self, labels: Labels) -> Searched:
        """Some of the vectors, to be searched exactly; labels that are not in the index are ignored."""
        return self._exact.only(labels)

    def vectors(self, labels: Labels) -> Vectors:
        """Stored vectors of live labels, shape (n, dimension), in the order asked for.

        Raises:
            KeyError: a label is not in the index.
        """
        return self._exact.vectors(labels)

    def settle(self, timeout_s: float) -> bool:
        """Wait at most ``timeout_s`` seconds for each build under way, and switch; whether none is left."""
        while self.building:
            if self._build is not None:
                self._build.wait(timeout_s)
                if not self._build.done:
                    return False
            self._advance()
            self._catch_up(_CATCH_UP)
        return True

    def close(self) -> None:
        """Stop a build under way and start no other; the present index goes on serving."""
        self._closed = True
        self._behind = None
        if self._keeper is not None:
            self._keeper.settle()
        if self._build is not None:
            self._build.abandon()
            self._build = None

    @property
    def _serving(self) -> FlatIndex | HnswIndex:
        return self._exact if self._hnsw is None else self._hnsw

    def _changed(self, changes: int) -> None:
        self._changes_to_wait -= changes
        if self._behind is not None:
            self._catch_up(_CATCH_UP + _CATCH_UP_SHARE * changes)
        if self._keeper is not None and not self.building:
            self._keeper.changed(changes)
        if not self.building and not self._closed and self._changes_to_wait <= 0 and self._wants_a_graph():
            _log.info("index.build_started", extra={"live": len(self), "serving": self.kind})
            graph = HnswGraph(self._dimension, self._parameters)
            self._build = BackgroundBuild(graph, self._exact.freeze(self._exact.labels()))

    def _wants_a_graph(self) -> bool:
        if self._hnsw is None:
            return len(self) >= self._switch_at
        if self._keeper is not None and self._keeper.exhausted:
            return True
        return self._hnsw.tombstones >= MIN_TOMBSTONES and self._hnsw.tombstone_share > MAX_TOMBSTONE_SHARE

    def _advance(self) -> None:
        """Switch to a build that is done, or start another round if much was added meanwhile."""
        if self._build is None or not self._build.done:
            return
        build, self._build = self._build, None
        try:
            graph = build.result()
        except Exception:
            self._changes_to_wait = _CHANGES_BEFORE_RETRY
            _log.exception("index.build_failed", extra={"live": len(self), "serving": self.kind})
            return
        missing = np.setdiff1d(self._exact.labels(), graph.labels(), assume_unique=True)
        if len(missing) <= _CATCH_UP:
            self._switch(graph, len(missing))
        elif len(missing) <= len(build) // 2:  # while rounds get shorter, the caller need not wait for one
            self._build = BackgroundBuild(graph, self._exact.freeze(missing))
        else:
            self._behind, self._pending = graph, missing

    def _catch_up(self, most: int) -> None:
        """Link some of the vectors that the graph still lacks."""
        if self._behind is None:
            return
        labels, self._pending = self._pending[:most], self._pending[most:]
        live = self._exact.live_among(labels)
        self._behind.add(live, self._exact.vectors(live))
        if len(self._pending) <= _CATCH_UP:
            graph, self._behind = self._behind, None
            self._switch(graph, len(self._pending))

    def _switch(self, graph: HnswGraph, missing: int) -> None:
        self._serve(HnswIndex.caught_up(self._exact, graph))
        _log.info("index.graph_serves", extra={"live": len(self), "linked_at_switch": missing})

    def _serve(self, hnsw: HnswIndex) -> None:
        if self._hnsw is not None:
            hnsw.widen(self._hnsw.widened_to)  # the same vectors need the same width
        self._hnsw = hnsw
        self._keeper = RecallKeeper(hnsw, self._parameters.target_recall, self._k)
        self._keeper.sample()
        if self._directory is None or self._exact.on_disk:
            return
        try:
            self._exact.move_to(FileRows(self._directory, self._dimension))
        except TooManyFiles:
            _log.info("index.stays_in_memory", extra={"vectors": len(self)})
        except OSError:
            _log.exception("index.disk_refused", extra={"vectors": len(self)})
