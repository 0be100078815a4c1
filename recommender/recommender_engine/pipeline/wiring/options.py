"""How an engine runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from recommender_engine.matching import LearnedMatcher, MatcherFactory
from recommender_engine.message import Messages
from recommender_engine.pipeline.collections import MOST_COLLECTIONS
from recommender_engine.pipeline.vectors.prefetching import EmbeddingExecutor


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How an engine runs.

    Attributes:
        matcher: makes the matcher of the rule ``learned``.
        before_commit: called in the transaction of every batch, last; an exception undoes the batch.
        on_close: called after the store has been closed.
        remote: embeds further ahead than the next batch, in other processes; it is closed with the engine.
        most_collections: how many there may be; a command that would make one more is rejected.
        messages: find what of a text is compared; by our own rules by default.
    """

    matcher: MatcherFactory = LearnedMatcher
    before_commit: Callable[[], None] = lambda: None
    on_close: Callable[[], None] = lambda: None
    remote: EmbeddingExecutor | None = None
    most_collections: int = MOST_COLLECTIONS
    messages: Messages = field(default_factory=Messages)
