"""Kombu's client with a key prefix, for commands of this package that kombu does not prefix."""

from __future__ import annotations

from typing import Any

from kombu.transport.redis import PrefixedRedisPipeline, PrefixedStrictRedis

_KEYS = {"EXISTS": 1, "LMOVE": 2, "LRANGE": 1, "LREM": 1}
"""How many of its arguments are keys."""


class _Ours:
    global_keyprefix: str

    def _prefix_args(self, args: Any) -> list[Any]:
        command, *rest = args
        keys = _KEYS.get(command, 0)
        if not keys:
            prefixed: list[Any] = super()._prefix_args(args)  # type: ignore[misc]
            return prefixed
        return [command, *(f"{self.global_keyprefix}{key}" for key in rest[:keys]), *rest[keys:]]


class _Pipeline(_Ours, PrefixedRedisPipeline):
    pass


class PrefixedClient(_Ours, PrefixedStrictRedis):
    """As kombu's; ``in_transit`` lists and looks at queues are under the prefix too."""

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> _Pipeline:
        """A pipeline that prefixes as well."""
        return _Pipeline(  # type: ignore[no-untyped-call]
            self.connection_pool,
            self.response_callbacks,
            transaction,
            shard_hint,
            global_keyprefix=self.global_keyprefix,
        )
