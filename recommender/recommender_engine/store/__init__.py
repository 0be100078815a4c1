"""The durable state: everything else can be rebuilt from what is committed here."""

from recommender_engine.store.answers import Answer
from recommender_engine.store.behaviour import BehaviourTable, UsedItem, UserKey
from recommender_engine.store.collections import Arrived, Collection
from recommender_engine.store.copying import DatabaseCopy, StateFacts, examine_copy, examine_state, stopped_copy
from recommender_engine.store.failures import explained
from recommender_engine.store.incidents import Incident
from recommender_engine.store.listing import ListedRow, Place
from recommender_engine.store.moves import Forward, Move
from recommender_engine.store.outbox import MOST_BYTES as MOST_OUTBOX_BYTES
from recommender_engine.store.outbox import Outbox
from recommender_engine.store.outbox_rows import KeyUse, OutboxRow, Reply
from recommender_engine.store.policy_keys import PolicyQuery
from recommender_engine.store.rows import AttributeRow, ItemText, LikelyPair, Member, StoredItem, Verdict
from recommender_engine.store.second_models import SecondModel
from recommender_engine.store.shown import Counted, Figures, ShownList
from recommender_engine.store.sqlite import SqliteStore
from recommender_engine.store.standings import BANDS, CODES, DAY_MS, GROUPS, HOUR_MS, PARTS
from recommender_engine.store.subscriptions import ListChange, ListKey, Mark, Subscription
from recommender_engine.store.training import TrainingExample, TrainingRun

__all__ = [
    "BANDS",
    "CODES",
    "DAY_MS",
    "GROUPS",
    "HOUR_MS",
    "MOST_OUTBOX_BYTES",
    "PARTS",
    "Answer",
    "Arrived",
    "AttributeRow",
    "BehaviourTable",
    "Collection",
    "Counted",
    "DatabaseCopy",
    "Figures",
    "Forward",
    "Incident",
    "ItemText",
    "KeyUse",
    "LikelyPair",
    "ListChange",
    "ListKey",
    "ListedRow",
    "Mark",
    "Member",
    "Move",
    "Outbox",
    "OutboxRow",
    "Place",
    "PolicyQuery",
    "Reply",
    "SecondModel",
    "ShownList",
    "SqliteStore",
    "StateFacts",
    "StoredItem",
    "Subscription",
    "TrainingExample",
    "TrainingRun",
    "UsedItem",
    "UserKey",
    "Verdict",
    "examine_copy",
    "examine_state",
    "explained",
    "stopped_copy",
]
