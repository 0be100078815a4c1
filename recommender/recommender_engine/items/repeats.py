"""Comparison of commands under one idempotency key."""

from __future__ import annotations

import json
from hashlib import blake2b

import numpy as np

from recommender_engine.items.command import CollectionCommand, Command
from recommender_engine.items.commands import Entry, EraseUser, RejectedCommand, UpsertItem
from recommender_engine.items.owners import RefuseMessage

ANY_BODY = b""
"""The digest of a command that is identified by its key alone."""

_DIGEST_BYTES = 16
_FLOAT32 = np.finfo(np.float32)
_json = json.JSONEncoder(sort_keys=True).encode  # made once: ``json.dumps`` makes one at each call
_OF_OWNERS = "\n"  # no collection has this name, so no producer can use one of these keys


def scope_of(entry: Entry) -> str:
    """The collection that a key belongs to; empty for a command that names none, or cannot be read."""
    command = _original(entry)
    if isinstance(command, RefuseMessage):
        # Otherwise the collection is that of the refused message.
        return _OF_OWNERS + (command.collection or "") if command.source == "forward" else _OF_OWNERS
    return command.collection if isinstance(command, CollectionCommand) else ""


def digest_of(entry: Entry) -> bytes:
    """Digest of the content of a command: the order of names, white space and defaults make no difference."""
    command = _original(entry)
    digest = blake2b(digest_size=_DIGEST_BYTES)
    if isinstance(command, RejectedCommand):
        digest.update(f"{command.type} {command.size} ".encode(errors="backslashreplace"))
        digest.update(command.payload)
        return digest.digest()
    if command.privileged or isinstance(command, EraseUser):
        # Made by an owner or a mover, which derive the key from the content; or nothing is to be kept of it.
        return ANY_BODY
    content = command.model_dump(mode="json", exclude={"vector"}, exclude_defaults=True)
    digest.update(_json([command.type, content]).encode())
    if isinstance(command, UpsertItem) and command.vector is not None:
        digest.update(_bytes_of(command.vector))
    return digest.digest()


def _bytes_of(vector: list[float] | bytes) -> bytes:
    """The same for both forms of a vector; numbers that a float32 cannot hold still differ."""
    if isinstance(vector, bytes):
        return vector
    wide = np.asarray(vector, "<f8")
    sizes = np.abs(wide)
    held = (sizes == 0) | ((sizes >= _FLOAT32.tiny) & (sizes <= _FLOAT32.max))
    return wide.astype("<f4").tobytes() if held.all() else wide.tobytes()


def repeats(entry: Entry, digest: bytes) -> bool:
    """Whether an entry has the content of the first command under its key, given the digest of that one."""
    return digest in (ANY_BODY, digest_of(entry))


def _original(entry: Entry) -> Command | RejectedCommand:
    return entry.command if entry.original is None else entry.original
