"""Users of the web page: a JSON file of names, password hashes, roles and collections."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from threading import BoundedSemaphore, Lock
from typing import Annotated

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from recommender_engine.errors import ConfigurationError
from recommender_engine.files import whole_file

MIN_PASSWORD = 8
KEY_PREFIX = "rcm_"
_MOST_BYTES = 1 << 20
_HASHES_AT_ONCE = 2  # each takes 64 MiB
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
_hasher = PasswordHasher()
_hashing = BoundedSemaphore(_HASHES_AT_ONCE)


class Role(StrEnum):
    """What a user may do; each role includes those before it."""

    LOOK = "look"
    ANSWER = "answer"
    CONFIGURE = "configure"

    def includes(self, other: Role) -> bool:
        """Whether a user of this role may do what one of the other may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


class Busy(Exception):
    """Too many passwords are being verified."""


class User(BaseModel):
    """One user.

    Attributes:
        password: argon2 hash; empty: the user has no password: a program, or a user of the proxy.
        key: SHA-256 of the key with which a program calls the HTTP door; empty: none.
        role: what the user may do.
        collections: the only ones that the user sees; empty: all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    password: Annotated[str, Field(repr=False)] = ""
    key: Annotated[str, Field(repr=False)] = ""
    role: Role = Role.LOOK
    collections: tuple[str, ...] = ()

    @property
    def mark(self) -> str:
        """Changes with the password: sessions that began with another one end."""
        return hashlib.sha256(self.password.encode()).hexdigest()[:16]


_USERS = TypeAdapter(dict[str, User])


class UsersFile:
    """The users, read again when the file changes: a removed user is gone at the next request.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()
        self._read: tuple[tuple[int, int, int], Mapping[str, User]] | None = None
        self._names: tuple[Mapping[str, User], Mapping[str, str]] | None = None

    def all(self) -> Mapping[str, User]:
        """Users by name.

        Raises:
            ConfigurationError: the file cannot be read, or holds something else.
        """
        try:
            found = self.path.stat()
            version = found.st_mtime_ns, found.st_size, found.st_ino
            with self._lock:
                if self._read is None or self._read[0] != version:
                    self._read = version, self._parsed()
                return self._read[1]
        except OSError as error:
            raise ConfigurationError(f"RECOMMENDER_WEB_USERS={str(self.path)!r}: {error.strerror}") from None

    def get(self, name: str) -> User | None:
        """One user."""
        return self.all().get(name)

    def of_key(self, key: str) -> tuple[str, User] | None:
        """Name and user of a key of the HTTP door."""
        users, known = self.all(), self._names
        if known is None or known[0] is not users:
            self._names = known = users, {user.key: name for name, user in users.items() if user.key}
        name = known[1].get(hashed_key(key))
        return None if name is None else (name, users[name])

    def verified(self, name: str, password: str) -> User | None:
        """The user, if the password is right. A name that does not exist takes as long.

        Raises:
            Busy: two passwords are being verified; more would each hold a thread.
        """
        user = self.get(name)
        hash_ = user.password if user is not None and user.password else self._nobody
        if not _hashing.acquire(blocking=False):
            raise Busy
        try:
            _hasher.verify(hash_, password)
        except (Argon2Error, InvalidHashError):
            return None
        finally:
            _hashing.release()
        return user if user is not None and user.password else None

    def put(self, name: str, user: User) -> None:
        """Add a user, or replace the one of this name; the file is readable by its owner only.

        Raises:
            ConfigurationError: the name has other characters, or the file cannot be read.
            OSError: it cannot be written.
        """
        checked_name(name)
        self._write({**(self.all() if self.path.exists() else {}), name: user})

    def remove(self, name: str) -> bool:
        """Remove a user; whether there was one."""
        users = dict(self.all())
        found = users.pop(name, None)
        if found is not None:
            self._write(users)
        return found is not None

    def _parsed(self) -> Mapping[str, User]:
        with self.path.open("rb") as file:
            text = file.read(_MOST_BYTES + 1)
        if len(text) > _MOST_BYTES:
            raise ConfigurationError(f"RECOMMENDER_WEB_USERS={str(self.path)!r}: larger than {_MOST_BYTES} bytes")
        try:
            return _USERS.validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise ConfigurationError(
                f"RECOMMENDER_WEB_USERS={str(self.path)!r}: {where + ': ' if where else ''}{first['msg']}"
            ) from None

    def _write(self, users: Mapping[str, User]) -> None:
        with whole_file(self.path) as temporary:
            temporary.write_bytes(_USERS.dump_json(dict(users), indent=2) + b"\n")

    @cached_property
    def _nobody(self) -> str:
        return _hasher.hash("of a user that does not exist")


def checked_name(name: str) -> str:
    """A name for a user.

    Raises:
        ConfigurationError: it has other characters, or is too long.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"user {name!r}: letters, digits and . _ @ + - only, at most 64, no sign at the start")
    return name


def new_key() -> str:
    """A key for a program: 256 random bits behind a prefix that scanners of secrets can look for."""
    return f"{KEY_PREFIX}{secrets.token_urlsafe(32)}"


def hashed_key(key: str) -> str:
    """What the file keeps of a key. It is random, so that a fast hash is enough."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def hashed(password: str) -> str:
    """The argon2 hash of a password.

    Raises:
        ConfigurationError: it is too short.
    """
    if len(password) < MIN_PASSWORD:
        raise ConfigurationError(f"a password needs at least {MIN_PASSWORD} characters")
    return _hasher.hash(password)
