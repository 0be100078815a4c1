"""The stage of the pipeline that a stack belongs to."""

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
            "pipeline/vectors/nearest_points.py",
            "pipeline/vectors/indexes.py",
            "pipeline/vectors/overlay.py",
        ),
    ),
    ("recommendations", ("pipeline/candidates/recommendations.py", "recommender/recommender_engine/ranking.py")),
    (
        "events: making and storing them",
        ("recommender/recommender_engine/store/outbox.py", "pipeline/batch.py", "items/events.py"),
    ),
    ("reading and writing the state", ("recommender/recommender_engine/store/",)),
    ("publishing", ("delivery/publisher.py", "broker/events/stream.py", "continuity/event_keeper.py")),
    ("reading and decoding commands", ("loop/intake.py", "broker/commands/log.py", "items/commands.py")),
    ("telling callers", ("delivery/threads.py", "delivery/dispatch.py")),
    (
        "lease and status",
        ("leadership/lease_keeper.py", "coordination/lease.py", "telemetry/status.py", "redis/server_clock.py"),
    ),
    ("upkeep", ("loop/upkeep.py", "loop/reporting.py", "continuity/commands_keeper.py", "commands/trimming.py")),
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
