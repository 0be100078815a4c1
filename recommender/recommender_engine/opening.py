"""Creates an engine over a state directory."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from recommender_engine.embedding import KNOWN_MODELS, Encoders, ModelCatalogue
from recommender_engine.embedding.processors import usable_processors
from recommender_engine.errors import RecommenderError, StateError, StateLocked
from recommender_engine.index import HnswParameters
from recommender_engine.matching import LearnedMatcher, MatcherFactory
from recommender_engine.message import Messages
from recommender_engine.pipeline import MOST_COLLECTIONS, EmbeddingExecutor, Indexes, Options, Recommender
from recommender_engine.store import SqliteStore, explained

DATABASE = "state.sqlite3"
LOCK = "owner.lock"


def open_recommender(
    directory: Path | None = None,
    encoders: Encoders | None = None,
    *,
    partition: str = "default",
    matcher: MatcherFactory = LearnedMatcher,
    created_by: str = "",
    index_threads: int | None = None,
    before_commit: Callable[[], None] = lambda: None,
    remote: EmbeddingExecutor | None = None,
    most_collections: int = MOST_COLLECTIONS,
    message_rules: Path | None = None,
) -> Recommender:
    """Open the engine over a state directory, created if missing; ``None`` keeps the state in memory.

    Args:
        directory: has the database and the index snapshots; one process at a time owns it.
        encoders: the embedding models; the default is the known ones, loaded on first use.
        partition: name under which events are published.
        matcher: judges pairs; the default is the learned matcher.
        created_by: name and version of the program, written into snapshots.
        index_threads: number of threads of the index; by default one for each usable processor.
        before_commit: called in the transaction of every batch, last; an exception undoes the batch.
        remote: embeds batches ahead of their turn, elsewhere.
        most_collections: limit of collections; a command that would create another is rejected.
        message_rules: file with further phrases to cut from texts.

    Raises:
        ConfigurationError: the file of phrases cannot be read.
        StateError: the directory is owned by another process, damaged, or written by a newer release.
        ModelError: a collection holds vectors of another model.
    """
    messages = Messages(message_rules)
    encoders = encoders if encoders is not None else ModelCatalogue(KNOWN_MODELS)
    lock = None if directory is None else lock_directory(directory)
    try:
        store = SqliteStore(None if directory is None else directory / DATABASE, f"/recommender/{partition}")
    except BaseException:
        release(lock)
        raise
    indexes = Indexes(
        store,
        None if directory is None else directory / "index",
        HnswParameters(threads=index_threads or usable_processors()),
        created_by,
    )
    try:
        with _checked_if_it_fails(store):
            options = Options(
                matcher=matcher,
                before_commit=before_commit,
                on_close=lambda: release(lock),
                remote=remote,
                most_collections=most_collections,
                messages=messages,
            )
            return Recommender(store, encoders, indexes, options)
    except BaseException:
        indexes.discard()
        store.close()
        release(lock)
        raise


@contextmanager
def _checked_if_it_fails(store: SqliteStore) -> Iterator[None]:
    """Reading during the check of the database can end in any error; then the error of the check is the cause.

    A database that passes is left as one that was opened and closed.
    """
    try:
        with explained():
            yield
    except RecommenderError:
        raise
    except Exception:
        store.check()
        raise


def lock_directory(directory: Path) -> int:
    """Take the directory for this process until the descriptor returned is closed.

    Raises:
        StateLocked: another process has it; the message names its process id.
        StateError: it cannot be written.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StateError(f"the state directory {directory} cannot be used: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        owner = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise StateLocked(f"the state directory {directory} is owned by process {owner}") from None
    try:
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except OSError as error:
        os.close(descriptor)
        raise StateError(f"the state directory {directory} cannot be used: {error.strerror}") from error
    return descriptor


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Have the directory for the length of a block.

    Raises:
        StateLocked: another process has it.
    """
    lock = lock_directory(directory)
    try:
        yield
    finally:
        release(lock)


def release(lock: int | None) -> None:
    """Release the directory."""
    if lock is not None:
        os.close(lock)
