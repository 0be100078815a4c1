"""The vector indexes of all collections: derived from the store, brought up to date after each commit."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from recommender_engine.index import (
    AUTO_HNSW_FROM,
    DEFAULT_PARAMETERS,
    RECALL_AT,
    AdaptiveIndex,
    FlatIndex,
    HnswIndex,
    HnswParameters,
    Labels,
    ReadIndex,
    make_index,
    recall_of,
    snapshot,
)
from recommender_engine.items import EntryId
from recommender_engine.pipeline.vectors.embedding_step import Vector
from recommender_engine.pipeline.vectors.nearest_points import search
from recommender_engine.pipeline.vectors.overlaid_index import OverlaidIndex
from recommender_engine.pipeline.vectors.overlay import CollectionOverlay, Found
from recommender_engine.store import Collection, SqliteStore

# Changes of an index after which it is written to disk: at least this many, and at least this part of it.
_SNAPSHOT_EVERY = 10_000
_SNAPSHOT_SHARE = 10

_SAMPLE = 50


class IndexContents(NamedTuple):
    """What the index of a collection has to hold.

    Attributes:
        collection: of the index.
        labels: of its points, ascending, shape (n,).
        trusted: digests of the snapshots that were written of it.
    """

    collection: Collection
    labels: Labels
    trusted: tuple[str, ...]


class _Made(NamedTuple):
    """An index that holds its points.

    Attributes:
        found: the index.
        changes: points that are not in its snapshot.
        kind: of the index, and the model of its vectors.
    """

    found: FlatIndex | AdaptiveIndex
    changes: int
    kind: tuple[str, str | None]


class Indexes:
    """One index per collection.

    Args:
        store: has the points.
        directory: for snapshots; with ``None`` a restart builds the graphs again.
        parameters: of the HNSW graphs.
        created_by: name and version of the program, written into snapshots.
    """

    def __init__(
        self,
        store: SqliteStore,
        directory: Path | None = None,
        parameters: HnswParameters = DEFAULT_PARAMETERS,
        created_by: str = "",
    ) -> None:
        self._store = store
        self._directory = directory
        self._parameters = parameters
        self._created_by = created_by
        self._indexes: dict[int, FlatIndex | AdaptiveIndex] = {}
        self._kinds: dict[int, tuple[str, str | None]] = {}  # kind of index and model of its vectors
        self._switched: dict[int, _Made] = {}  # by the running batch
        self._changes: dict[int, int] = {}
        self._counted: dict[int, tuple[str, int]] = {}  # kind and points of each, as last counted
        self._points: Counter[str] = Counter()  # of all together
        self._graphs: dict[int, Collection] = {}  # with a graph, or one being built
        self._changeable: dict[int, Collection] = {}  # whose kind or recall may change by itself
        self._recalls: dict[int, float] = {}
        self._overlays: Mapping[int, CollectionOverlay] = {}
        self._unsaved: dict[int, Collection] = {}  # changed since their snapshot
        self._due: dict[int, Collection] = {}  # changed so much that a snapshot is due
        # The snapshots of a collection that leaves are not to be trusted any more.
        store.on_retire(lambda collection: store.drop_note(_note(collection)))
        store.on_rollback(self._rolled_back)

    def wanted(self, collection: Collection) -> IndexContents:
        """What the index of a collection has to hold, from the store."""
        return IndexContents(collection, self._store.vectors.labels(collection.id), tuple(self._trusted(collection)))

    def read_snapshot(self, wanted: IndexContents) -> HnswIndex | None:
        """The graph of a collection from its last trusted snapshot, if there is one; does not use the store."""
        collection = wanted.collection
        if self._directory is None or collection.dimension is None or collection.settings.index == "exact":
            return None
        if collection.settings.index == "auto" and len(wanted.labels) < AUTO_HNSW_FROM:
            return None  # a graph from the time when it was larger, or configured otherwise
        expected = snapshot.Expectations(collection.dimension, str(collection.model), self._parameters)
        found = snapshot.read(self._directory / str(collection.id), expected, wanted.trusted)
        return None if found is None else found[0]

    def open(self, wanted: IndexContents, restored: HnswIndex | None = None) -> None:
        """Open the index of a collection: the graph from a snapshot, or an empty one, completed from the store."""
        collection = wanted.collection
        if collection.dimension is not None:
            self._install(collection, self._made(wanted, restored))

    def _made(self, wanted: IndexContents, restored: HnswIndex | None = None) -> _Made:
        """An index that holds what it has to."""
        collection = wanted.collection
        settings = collection.settings
        index = make_index(
            settings.index,
            int(collection.dimension or 0),
            self._parameters,
            restored,
            expected=len(wanted.labels),
            directory=None if self._directory is None else self._directory / str(collection.id),
            k=settings.candidates,
        )
        try:
            changes = self._complete(index, wanted.labels)
        except BaseException:
            index.close()
            raise
        return _Made(index, changes, (settings.index, collection.model))

    def _install(self, collection: Collection, made: _Made) -> None:
        self._indexes[collection.id], changes, self._kinds[collection.id] = made
        self._changes[collection.id] = 0
        self._changed(collection, changes)
        self._count(collection)

    def switch(self, collection: Collection) -> None:
        """Read the points of a collection as they are now: all are others, in the running transaction.

        They are in use from now on, and the index of before is kept for a rollback.
        """
        self._forget_switched(collection.id)
        self._switched[collection.id] = self._made(self.wanted(collection))
        self._store.drop_note(_note(collection.id))

    def _forget_switched(self, collection: int) -> None:
        made = self._switched.pop(collection, None)
        if made is not None and isinstance(made.found, AdaptiveIndex):
            made.found.close()

    def _rolled_back(self) -> None:
        for collection in list(self._switched):
            self._forget_switched(collection)

    def _current(self, collection: Collection) -> FlatIndex | AdaptiveIndex | None:
        made = self._switched.get(collection.id)
        return self._indexes.get(collection.id) if made is None else made.found

    def sweep(self, collections: Iterable[Collection]) -> None:
        """Delete the snapshots of collections that are not here: a process may have died before it did so."""
        here = {str(collection.id) for collection in collections}
        if self._directory is None or not self._directory.is_dir():
            return
        for path in self._directory.iterdir():
            if path.name.isdecimal() and path.name not in here:
                shutil.rmtree(path, ignore_errors=True)

    def discard(self) -> None:
        """Stop building, and write nothing."""
        for index in self._indexes.values():
            if isinstance(index, AdaptiveIndex):
                index.close()

    def of(self, collection: Collection, dimension: int) -> ReadIndex:
        """The committed points of a collection; none for one that this batch has made; see ``overlaid``."""
        index = self._current(collection)
        overlay = self._overlays.get(collection.id)
        committed = FlatIndex(dimension) if index is None else index
        return committed if overlay is None else OverlaidIndex(committed, overlay, dimension)

    @contextmanager
    def overlaid(self, overlays: Mapping[int, CollectionOverlay]) -> Iterator[None]:
        """Read the points as the running batch has left them until now, so that its size makes no difference.

        Args:
            overlays: the changes of the batch, by collection id.
        """
        self._overlays = overlays
        try:
            yield
        finally:
            self._overlays = {}

    def search(self, collection: Collection, queries: Mapping[EntryId, Vector]) -> dict[EntryId, Found]:
        """What the index of a collection finds for the items of a batch, before any of them is decided."""
        index = self._current(collection)
        return {} if index is None else search(index, queries, collection.settings.candidates)

    def apply(self, changed: Iterable[Collection], overlays: Mapping[int, CollectionOverlay]) -> None:
        """Bring the indexes up to date with what has just been committed.

        Args:
            changed: collections with points or settings that have changed.
            overlays: the changes of their points, by collection id.
        """
        for collection in changed:
            if (made := self._switched.pop(collection.id, None)) is not None:
                self._close(collection)
                self._install(collection, made)
            if self._kinds.get(collection.id) not in (None, (collection.settings.index, collection.model)):
                self._close(collection)
            overlay = overlays.get(collection.id)
            if collection.id not in self._indexes:
                self.open(self.wanted(collection))
            elif overlay is not None:
                self._apply(collection, overlay)
                self._count(collection)

    def forget(self, collection: Collection) -> None:
        """Drop index and snapshot of a collection that has left."""
        self._forget_switched(collection.id)
        self._close(collection)
        self._changes.pop(collection.id, None)
        if self._directory is not None:
            shutil.rmtree(self._directory / str(collection.id), ignore_errors=True)

    def stats(self, collection: Collection) -> dict[str, Any]:
        """Kind that serves now, number of points, and recall@10 when it was last sampled (1 while exact)."""
        index = self._indexes.get(collection.id)
        return {
            "index": "exact" if index is None else index.kind,
            "points": 0 if index is None else len(index),
            "recall": index.recall if isinstance(index, AdaptiveIndex) and index.kind == "hnsw" else 1.0,
        }

    def sizes(self) -> Counter[str]:
        """How many points there are by kind of index; only indexes whose kind may have changed are counted again."""
        self._look_again()
        return Counter({kind: points for kind, points in self._points.items() if points})

    def recalls(self) -> dict[str, float]:
        """Recall@10 of each approximate index when it was last sampled, in [0, 1], by collection name."""
        self._look_again()
        return {self._graphs[id_].name: recall for id_, recall in self._recalls.items()}

    def sampled_recall(self) -> dict[str, float]:
        """Recall@10 in [0, 1] of each approximate index against exact search, measured now, by collection name.

        The queries are vectors of the index itself, evenly spread, and search as items that arrive do.
        """
        recalls = {}
        for collection in self._graphs.values():
            hnsw = _hnsw(self._indexes.get(collection.id))
            if hnsw is None or len(hnsw) <= RECALL_AT:
                continue
            labels = hnsw.labels()
            queries = hnsw.vectors(labels[:: max(1, len(labels) // _SAMPLE)][:_SAMPLE])
            found = hnsw.search(queries, max(RECALL_AT, collection.settings.candidates)).labels[:, :RECALL_AT]
            recalls[collection.name] = recall_of(found, hnsw.exact.search(queries, RECALL_AT).labels)
        return recalls

    def settle(self, timeout_s: float) -> bool:
        """Wait at most ``timeout_s`` seconds for each graph that is being built; whether none is left."""
        adaptive = [index for index in self._indexes.values() if isinstance(index, AdaptiveIndex)]
        return sum(index.settle(timeout_s) for index in adaptive) == len(adaptive)

    def snapshot(self, *, all_changes: bool = False) -> None:
        """Write the graphs that have changed much since they were last written; with ``all_changes``, at all.

        Raises:
            StateError: a file could not be written; the one before stays.
        """
        for collection in list((self._unsaved if all_changes else self._due).values()):
            hnsw = _hnsw(self._indexes.get(collection.id))
            if self._directory is None or hnsw is None:
                continue
            due = 1 if all_changes else max(_SNAPSHOT_EVERY, len(hnsw) // _SNAPSHOT_SHARE)
            if self._changes[collection.id] < due:
                continue
            stamp = snapshot.Stamp(str(collection.model), str(self._store.position), self._created_by)
            record = snapshot.write(self._directory / str(collection.id), hnsw, stamp)
            known = [record.digest, *self._trusted(collection)][: snapshot.GENERATIONS_KEPT]
            self._store.set_note(_note(collection.id), json.dumps(known))
            self._saved(collection.id)

    def close(self, collections: Iterable[Collection]) -> None:
        """Write what has changed and stop building."""
        try:
            self.snapshot(all_changes=True)
        finally:
            for collection in collections:
                self._close(collection)

    def _complete(self, index: FlatIndex | AdaptiveIndex, wanted: Labels) -> int:
        """Add and remove points until an index holds these, ascending; how many were added and removed."""
        present = index.labels()
        if np.array_equal(present, wanted):
            return 0
        gone = np.setdiff1d(present, wanted, assume_unique=True)
        missing = np.setdiff1d(wanted, present, assume_unique=True)
        index.remove(gone)
        for labels, vectors in self._store.vectors.points(missing):
            index.add(labels, vectors)
        return len(gone) + len(missing)

    def _apply(self, collection: Collection, overlay: CollectionOverlay) -> None:
        index, added = self._indexes[collection.id], overlay.labels()
        removed = np.array(sorted(overlay.removed), np.int64)
        if len(added):
            index.add(added, overlay.vectors(added))
        if len(removed):
            index.remove(removed)
        self._changed(collection, len(added) + len(removed))

    def _changed(self, collection: Collection, changes: int) -> None:
        """Count changes that are not in the snapshot."""
        self._changes[collection.id] += changes
        if self._changes[collection.id]:
            self._unsaved[collection.id] = collection
        if self._changes[collection.id] >= _SNAPSHOT_EVERY:
            self._due[collection.id] = collection

    def _saved(self, collection: int) -> None:
        self._changes[collection] = 0
        self._unsaved.pop(collection, None)
        self._due.pop(collection, None)

    def _look_again(self) -> None:
        """Count again the indexes that change by themselves."""
        for collection in list(self._changeable.values()):
            self._count(collection)

    def _count(self, collection: Collection) -> None:
        """Count the points of a collection anew."""
        kind, points = self._counted.pop(collection.id, ("exact", 0))
        self._points[kind] -= points
        for of_collection in (self._graphs, self._changeable, self._recalls):
            of_collection.pop(collection.id, None)
        index = self._indexes.get(collection.id)
        if index is None:
            return
        self._counted[collection.id] = index.kind, len(index)
        self._points[index.kind] += len(index)
        if isinstance(index, AdaptiveIndex) and (index.hnsw is not None or index.building):
            self._graphs[collection.id] = collection
            if (recall := index.recall) is not None:
                self._recalls[collection.id] = recall
            if index.changeable:
                self._changeable[collection.id] = collection

    def _close(self, collection: Collection) -> None:
        index = self._indexes.pop(collection.id, None)
        self._count(collection)
        self._kinds.pop(collection.id, None)
        self._saved(collection.id)
        if isinstance(index, AdaptiveIndex):
            index.close()

    def _trusted(self, collection: Collection) -> list[str]:
        digests: list[str] = json.loads(self._store.note(_note(collection.id)) or "[]")
        return digests


def _hnsw(index: FlatIndex | AdaptiveIndex | None) -> HnswIndex | None:
    return index.hnsw if isinstance(index, AdaptiveIndex) else None


def _note(collection: int) -> str:
    return f"snapshots of collection {collection}"
