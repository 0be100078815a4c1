"""What a stack is busy with: which stage of the pipeline it belongs to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

# The first rule that names a part of any frame's file and function wins. What is specific stands before what calls it.
RULES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("tokenising", ("embedding/tokens.py",)),
    ("the model", ("recommender/embedding/",)),
    ("word search", ("search (recommender/pipeline/words.py", "statistics (recommender/pipeline/words.py")),
    ("the matcher: features and model", ("recommender/matching/",)),
    (
        "the vector index",
        ("recommender/index/", "pipeline/neighbours.py", "pipeline/indexes.py", "pipeline/overlay.py"),
    ),
    ("recommendations", ("recommendations (recommender/pipeline/arrivals.py", "recommender/ranking.py")),
    ("events: making and storing them", ("recommender/store/outbox.py", "pipeline/batch.py", "items/events.py")),
    ("committing", ("transaction (recommender/store/sqlite.py", "_transaction (recommender/pipeline/")),
    ("reading and writing items and vectors", ("recommender/store/",)),
    ("publishing", ("owner/publisher.py", "broker/events_stream.py")),
    ("reading and decoding commands", ("owner/intake.py", "broker/commands_log.py", "items/commands.py")),
    ("deciding, the rest", ("recommender/pipeline/",)),
    ("the owner, the rest", ("workers/",)),
)
OTHER = "Celery, and the interpreter"


def stage_of(frames: Sequence[str]) -> str:
    """The stage of one stack, frames as ``function (file:line)``."""
    for stage, parts in RULES:
        if any(part in frame for frame in frames for part in parts):
            return stage
    return OTHER


def by_stage(collapsed: Iterable[str]) -> Counter[tuple[str, str]]:
    """Samples by thread and stage.

    Args:
        collapsed: lines of ``thread;frame;frame … count``, as py-spy writes them.
    """
    samples: Counter[tuple[str, str]] = Counter()
    for line in collapsed:
        stack, _, count = line.rpartition(" ")
        thread, *frames = stack.split(";")
        samples[_name(thread), stage_of(frames)] += int(count)
    return samples


def _name(thread: str) -> str:
    """py-spy has ``thread (0x7F…): "name"``."""
    return thread.partition('"')[2].rstrip('"') or thread
