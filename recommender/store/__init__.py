"""The truth: what is committed here happened, everything else can be rebuilt from it."""

from recommender.store.answers import Answer
from recommender.store.collections import Arrived, Collection
from recommender.store.copying import DatabaseCopy, StateFacts, examine_copy, examine_state, stopped_copy
from recommender.store.failures import explained
from recommender.store.lessons import Given, Lesson
from recommender.store.moves import Forward, Move
from recommender.store.outbox import KEY_WINDOW_MS, Outbox
from recommender.store.outbox import MOST_BYTES as MOST_OUTBOX_BYTES
from recommender.store.outbox_rows import KeyUse, OutboxRow, Reply
from recommender.store.rows import LikelyPair, Member, Saying, StoredItem, Verdict
from recommender.store.spots import Sought
from recommender.store.sqlite import SqliteStore

__all__ = [
    "KEY_WINDOW_MS",
    "MOST_OUTBOX_BYTES",
    "Answer",
    "Arrived",
    "Collection",
    "DatabaseCopy",
    "Forward",
    "Given",
    "KeyUse",
    "Lesson",
    "LikelyPair",
    "Member",
    "Move",
    "Outbox",
    "OutboxRow",
    "Reply",
    "Saying",
    "Sought",
    "SqliteStore",
    "StateFacts",
    "StoredItem",
    "Verdict",
    "examine_copy",
    "examine_state",
    "explained",
    "stopped_copy",
]
