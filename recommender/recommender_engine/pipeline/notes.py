"""Small facts about a state that no command says: whose it is, and what its owner has to remember."""

from __future__ import annotations

import json
from collections.abc import Sequence

from recommender_engine.store import SqliteStore

_IDENTITY, _EPOCH, _SECRETS = "identity", "epoch", "proof secrets"


class Notes:
    """Reads and writes them; each at once, outside of any batch."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def identify(self, proposal: str) -> str:
        """What tells this state from any other: what it was called first, which is ``proposal`` if it had no name."""
        known = self._store.note(_IDENTITY)
        if known is None:
            self._store.set_note(_IDENTITY, proposal)
        return known or proposal

    @property
    def epoch(self) -> int:
        """Number of the last reign over this state, as noted; 0 before the first."""
        return int(self._store.note(_EPOCH) or 0)

    def begin_epoch(self, number: int) -> None:
        """Note that a reign has begun."""
        self._store.set_note(_EPOCH, str(number))

    def secrets(self) -> list[str]:
        """By what commands of owners and movers were proven, the oldest first; none before the first owner."""
        return list(json.loads(self._store.note(_SECRETS) or "[]"))

    def keep_secrets(self, secrets: Sequence[str]) -> None:
        """Note them: the server that has them may lose them, and not the commands that they prove."""
        self._store.set_note(_SECRETS, json.dumps(list(secrets)))
