"""Small facts about a state that do not come from commands: its identity, its epoch, its proof secrets, receivers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from recommender_engine.items import EntryId
from recommender_engine.store import SqliteStore

_IDENTITY, _EPOCH, _SECRETS, _RECEIVED = "identity", "epoch", "proof secrets", "received"


class Notes:
    """Reads and writes them, outside of any batch."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def identify(self, proposal: str) -> str:
        """The identity of this state; ``proposal`` becomes it if there is none."""
        known = self._store.note(_IDENTITY)
        if known is None:
            self._store.set_note(_IDENTITY, proposal)
        return known or proposal

    @property
    def epoch(self) -> int:
        """Epoch of the last lease over this state, as noted; 0 before the first."""
        return int(self._store.note(_EPOCH) or 0)

    def begin_epoch(self, number: int) -> None:
        """Note that an epoch has begun."""
        self._store.set_note(_EPOCH, str(number))

    def last_erasure(self) -> EntryId | None:
        """Position of the last command that erased something; what was made before it may hold that."""
        return self._store.last_erasure

    def secrets(self) -> list[str]:
        """The secrets that prove commands of owners and movers, the oldest first; none before the first owner."""
        return list(json.loads(self._store.note(_SECRETS) or "[]"))

    def keep_secrets(self, secrets: Sequence[str]) -> None:
        """Note them: the server may lose them, and keep the commands that they prove."""
        self._store.set_note(_SECRETS, json.dumps(list(secrets)))

    def received(self) -> dict[str, EntryId]:
        """The last event that each receiver has, by its name; without the task of the user's own (``delivered``)."""
        noted = json.loads(self._store.note(_RECEIVED) or "{}")
        return {name: EntryId.parse(last) for name, last in noted.items()}

    def keep_received(self, last: Mapping[str, EntryId]) -> None:
        """Note it; a receiver that is not among them is forgotten."""
        self._store.set_note(_RECEIVED, json.dumps({name: str(id_) for name, id_ in last.items()}))
