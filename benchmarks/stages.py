"""What a stack is busy with: which stage of the pipeline it belongs to."""

from __future__ import annotations

from collections.abc import Sequence

# The first rule that finds a part of its own in any frame wins. What is specific stands before what calls it.
RULES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("tokenising", ("recommender/recommender_engine/embedding/tokens.py",)),
    ("the model, its own thread", ("recommender/recommender_engine/embedding/",)),
    (
        "word search",
        ("recommender/recommender_engine/pipeline/lexical/words.py", "recommender/recommender_engine/store/words.py"),
    ),
    ("the matcher: features and model", ("recommender/recommender_engine/matching/",)),
    (
        "the vector index",
        (
            "recommender/recommender_engine/index/",
            "pipeline/neighbours.py",
            "pipeline/indexes.py",
            "pipeline/overlay.py",
        ),
    ),
    ("recommendations", ("pipeline/arrivals.py:recommendations", "recommender/recommender_engine/ranking.py")),
    (
        "events: making and storing them",
        ("recommender/recommender_engine/store/outbox.py", "pipeline/batch.py", "items/events.py"),
    ),
    ("reading and writing the state", ("recommender/recommender_engine/store/",)),
    ("publishing", ("owner/publisher.py", "broker/events_stream.py", "owner/event_keeper.py")),
    ("reading and decoding commands", ("owner/intake.py", "broker/commands_log.py", "items/commands.py")),
    ("telling callers", ("owner/courier.py", "owner/dispatch.py")),
    ("lease and status", ("owner/lease_keeper.py", "broker/lease.py", "owner/status.py", "broker/server_clock.py")),
    ("upkeep", ("owner/upkeep.py", "owner/reporting.py", "owner/holding.py", "broker/trimming.py")),
    ("deciding, the rest", ("recommender/recommender_engine/pipeline/",)),
    ("the owner, the rest", ("workers/celery_recommender/owner/",)),
)
OTHER = "Celery, and the interpreter"


def stage_of(stack: Sequence[str]) -> str:
    """The stage of one stack.

    Args:
        stack: frames as ``file:function``.
    """
    for stage, parts in RULES:
        if any(part in frame for frame in stack for part in parts):
            return stage
    return OTHER
