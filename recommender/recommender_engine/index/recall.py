"""The recall of a graph against exact search: sampled as the index grows, and kept at a target.

Everything here depends on how much has changed and on nothing else, no clock and no chance among them: the same
changes lead to the same widths. What is measured in a thread takes effect at a later change, which waits for it.
"""

from __future__ import annotations

import threading

import numpy as np

from recommender_engine.event_log import event_log
from recommender_engine.index.hnsw import HnswIndex
from recommender_engine.index.nearest import Searched
from recommender_engine.index.vector_index import Labels

RECALL_AT = 10
QUERIES = 64

_LEAST_CHANGES = 2_000  # between two samples …
_SHARE_OF_CHANGES = 16  # … or this part of the index, if that is more
_WIDER = 1.5
_MAX_WIDTH = 1_024

_FAILED = "index.recall_sample_failed"

_log = event_log(__name__)


class RecallKeeper:
    """Samples the recall of one graph and widens its searches while they find too little.

    The queries are vectors of the index, evenly spread. What the graph finds is asked at once, what exact search finds
    in a thread of its own over the vectors as they were; only the next sample waits for it. A sample
    that fails is logged and dropped: the index serves as before, and the last figure is kept.

    Args:
        index: whose graph it is.
        target: recall@10 that it shall have, in [0, 1].
        k: how many neighbours its searches usually ask for.
    """

    def __init__(self, index: HnswIndex, target: float, k: int) -> None:
        self._index = index
        self._target = target
        self._k = max(k, RECALL_AT)
        self._changes = 0
        self._changes_in_all = 0
        self._sample: _Sample | None = None
        self._last: float | None = None
        self._at_its_widest = False

    @property
    def exhausted(self) -> bool:
        """Whether a graph built anew may do better: this one falls short at its widest, and half of it has changed."""
        return self._at_its_widest and 2 * self._changes_in_all >= len(self._index)

    def changed(self, changes: int) -> None:
        """So much has been added or removed."""
        self._changes += changes
        self._changes_in_all += changes
        if self._changes >= max(_LEAST_CHANGES, len(self._index) // _SHARE_OF_CHANGES):
            self.sample()

    def sample(self) -> None:
        """Act on the sample before, and take another."""
        self.settle()
        self._changes = 0
        if len(self._index) > self._k:
            try:
                self._sample = _Sample(self._index, self._k)
            except Exception:  # of the disk, the memory or the threads: a failed sample must not fail the change
                _log.exception(_FAILED)

    @property
    def sampling(self) -> bool:
        """Whether a sample is under way."""
        return self._sample is not None and not self._sample.done

    def look(self) -> float | None:
        """Recall of the last sample that is complete, in [0, 1]; widths wait until the next is due."""
        sampled = self._sample.recall() if self._sample is not None and self._sample.done else None
        return self._last if sampled is None else sampled

    def settle(self) -> None:
        """Wait for the sample under way, and act on it."""
        if self._sample is None:
            return
        sampled, self._sample = self._sample.recall(), None
        if sampled is None:
            return
        self._last = sampled
        if self._last >= self._target:
            return
        width = self._index.width(self._k)
        if width >= _MAX_WIDTH:
            self._at_its_widest = True
            _log.warning(
                "index.recall_below_target", extra={"recall": self._last, "ef": width, "live": len(self._index)}
            )
            return
        self._index.widen(min(_MAX_WIDTH, int(width * _WIDER)))
        _log.info("index.searches_widened", extra={"recall": self._last, "ef": self._index.width(self._k)})


class _Sample:
    """One sample: the neighbours that the graph finds and, when the thread is done, the true ones."""

    def __init__(self, index: HnswIndex, k: int) -> None:
        labels = index.labels()
        self._queries = index.vectors(labels[:: -(-len(labels) // QUERIES)])
        self._found = index.search(self._queries, k).labels[:, :RECALL_AT]
        self._truth: Labels | None = None
        self._thread = threading.Thread(target=self._run, args=(index.exact.frozen(),), name="index-recall")
        self._thread.start()

    @property
    def done(self) -> bool:
        return not self._thread.is_alive()

    def recall(self) -> float | None:
        """Share of the nearest that were found, or ``None`` if that failed; waits for the thread."""
        self._thread.join()
        return None if self._truth is None else recall_of(self._found, self._truth)

    def _run(self, searched: Searched) -> None:
        try:
            self._truth = searched.nearest(self._queries, RECALL_AT).labels
            searched.rows.let_go()  # it has read all of them
        except Exception:
            _log.exception(_FAILED)


def recall_of(found: Labels, truth: Labels) -> float:
    """Share of the labels of ``truth`` that stand in the same row of ``found``."""
    shared = (found[:, :, np.newaxis] == truth[:, np.newaxis, :]).any(axis=1)
    return float(shared.mean())
