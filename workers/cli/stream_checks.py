"""What ``recommender doctor`` checks on the commands stream: ids that lie ahead of the clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from redis import Redis

from recommender.items import START, EntryId
from workers.broker.believing import last_believed
from workers.broker.bringing_back import last_given
from workers.broker.keys import PartitionKeys
from workers.broker.server_clock import ServerClock
from workers.cli.findings import Finding

_ADVICE = "somebody appends with ids of their own, or the server's clock was set back: have producers append under *"


def check_ids(redis: Redis, keys: PartitionKeys, status: Mapping[str, Any] | None) -> Iterator[Finding]:
    """Entries whose ids no clock has reached.

    Args:
        redis: the server.
        keys: of the partition.
        status: what the owner last said, if there is one.
    """
    clock = ServerClock(redis)
    clock.adjust()
    last = last_given(redis, keys.commands)
    read = EntryId.parse(status["position"]) if status is not None and "position" in status else START
    if last is not None and last > last_believed(clock.now_ms(), read):
        yield Finding(
            "ids of commands",
            "warning",
            f"the last one, {last}, lies ahead of the server's clock",
            "keep a worker running: it gives these commands ids of now, within seconds; " + _ADVICE,
        )
    elif status is not None and (told := status.get("ids_brought_back")):
        yield Finding(
            "ids of commands",
            "warning",
            f"{told['commands']:,} commands had ids ahead of the server's clock, up to {told['last_id']}, and were"
            " given ids of now",
            _ADVICE,
        )
