"""Deciding commands where nothing can be harmed: in a process of its own, on a state that is thrown away."""

from __future__ import annotations

import json
import math
import resource
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from recommender import open_recommender
from recommender.embedding import Encoders
from recommender.errors import EncodingError
from recommender.items import CollectionSettings, Entry, EntryId, decode_entry
from workers.broker.commands_log import decode
from workers.broker.proofs import Secrets
from workers.broker.ranges import Fields

READY, PASSED, FAILED = b"ready", b"passed", b"failed "
_GRACE_S = 5.0
_HARMLESS = "hello"


def rehearse_on_demand(
    encoders: Encoders,
    settings: Mapping[str, CollectionSettings],
    secrets: Secrets,
    raw: Sequence[tuple[EntryId, Fields]],
    connection: Connection,
) -> None:
    """The main function of the process: rehearse what is asked for, until the other side has gone.

    First it shows that it can work at all, on a text that does no harm. An answer is a word, never an object.

    Args:
        encoders: the embedding models.
        settings: of the collections concerned, by name.
        secrets: by which commands of owners and movers are proven.
        raw: the commands, as they stand in the log.
        connection: asks for places from .. to, with a limit in seconds.
    """
    _expect_the_worst()
    # None is late: the owner died over them.
    entries = [decode(id_, fields, id_.ms, permits=secrets.permits) for id_, fields in raw]
    connection.send_bytes(_rehearse(encoders, settings, ()) or READY)
    while True:
        try:
            start, end, limit_s = json.loads(connection.recv_bytes())
        except EOFError:
            return
        # If the other side dies meanwhile, nobody else ends what hangs; the kernel needs no Python for that.
        signal.alarm(math.ceil(limit_s + _GRACE_S))
        answer = _rehearse(encoders, settings, entries[start:end])
        signal.alarm(0)
        connection.send_bytes(answer or PASSED)


def _rehearse(encoders: Encoders, settings: Mapping[str, CollectionSettings], entries: Sequence[Entry]) -> bytes:
    """Decide on an empty state; what was raised, empty if nothing was."""
    engine = open_recommender(None, encoders)
    try:
        engine.process([*_prologue(settings), *entries])
    except EncodingError:
        return b""  # the model fails on everything: no message is to blame, and no process ends
    except Exception as error:
        return FAILED + type(error).__name__.encode()
    finally:
        engine.close()
    return b""


def _prologue(settings: Mapping[str, CollectionSettings]) -> list[Entry]:
    """Commands that give every collection its settings and a harmless item, before all others."""
    said = []
    for name, values in settings.items():
        said.append(("collection.configured", {"collection": name, "settings": values.model_dump(mode="json")}))
        said.append(("item.upsert", {"collection": name, "id": _HARMLESS, "text": _HARMLESS}))
    return [
        decode_entry(EntryId(0, place), type_, json.dumps(data)) for place, (type_, data) in enumerate(said, start=1)
    ]


def _expect_the_worst() -> None:
    """Leave no core file, and be the first to go when memory runs out."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):  # no Linux
        Path("/proc/self/oom_score_adj").write_text("1000")
