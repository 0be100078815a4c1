"""The endpoints that events are sent to, from a TOML file."""

from __future__ import annotations

import re
import tomllib
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from celery_recommender.webhooks.signing import key_of
from recommender_engine.errors import ConfigurationError
from recommender_engine.items.events import EVENT_TYPES

MOST_ENDPOINTS = 32
"""Each has a thread of its own."""

_LARGEST_FILE = 256 * 1024
_LARGEST_SECRET_FILE = 4096
_HEADER = re.compile(r"[!-~]+")


class Endpoint(BaseModel):
    """Where events are sent.

    Attributes:
        name: in metrics, logs and the state, which notes under it what has been delivered.
        url: ``https://``; ``http://`` only to addresses in ``allow``. Never logged whole: it may be a secret itself.
        keys: HMAC keys that each request is signed with; several while a secret is replaced.
        types: event types that are sent; empty: all.
        collections: whose events are sent; empty: all, and those of no collection.
        template: the body: the ``event`` itself, or a message for an incoming webhook of ``slack``.
        allow: networks that are no part of the public internet and may be connected to.
        timeout_s: seconds for a whole request, the answer included.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
    url: Annotated[str, Field(repr=False, max_length=2000)]
    keys: Annotated[tuple[bytes, ...], Field(repr=False, max_length=4)] = ()
    types: frozenset[str] = frozenset()
    collections: frozenset[str] = frozenset()
    template: Literal["event", "slack"] = "event"
    allow: tuple[IPv4Network | IPv6Network, ...] = ()
    timeout_s: Annotated[float, Field(ge=0.1, le=60)] = 10.0

    @property
    def host(self) -> str:
        """The name or address in its URL."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The port in its URL, or that of the scheme."""
        return urlsplit(self.url).port or (443 if self.tls else 80)

    @property
    def tls(self) -> bool:
        """Whether requests are encrypted."""
        return urlsplit(self.url).scheme == "https"

    @field_validator("types")
    @classmethod
    def _known(cls, value: frozenset[str]) -> frozenset[str]:
        if unknown := sorted(value - EVENT_TYPES.keys()):
            raise ValueError(f"there is no event type {unknown[0]!r}")
        return value

    @field_validator("allow", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        return tuple(ip_network(one) for one in value) if isinstance(value, list | tuple) else value

    @field_validator("url")
    @classmethod
    def _plain(cls, value: str) -> str:
        if not _HEADER.fullmatch(value):
            raise ValueError("printable ASCII characters only")
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
            raise ValueError("must be https://HOST/PATH, or http:// with `allow`")
        if parts.username is not None or parts.fragment:
            raise ValueError("no user, password or fragment: requests are signed instead")
        return value

    @model_validator(mode="after")
    def _safe(self) -> Endpoint:
        if not self.tls and not self.allow:
            raise ValueError("http:// is for networks that `allow` lists")
        if self.template == "event" and not self.keys:
            raise ValueError("no secret: set secret_file, or RECOMMENDER_WEBHOOK_SECRET")
        return self


def read_endpoints(path: Path | None, secret: str) -> tuple[Endpoint, ...]:
    """The endpoints of a file.

    Args:
        path: a TOML file with a table ``[[endpoint]]`` for each; ``None``: there are none.
        secret: of endpoints without a ``secret_file``; empty: none.

    Raises:
        ConfigurationError: names the file, the endpoint and what is wrong, and no secret.
    """
    if path is None:
        return ()
    try:
        raw = tomllib.loads(_text(path, _LARGEST_FILE))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"RECOMMENDER_WEBHOOKS={str(path)!r}: {error}") from None
    tables = raw.pop("endpoint", [])
    if raw or not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ConfigurationError(f"RECOMMENDER_WEBHOOKS={str(path)!r}: it has tables [[endpoint]] and nothing else")
    if len(tables) > MOST_ENDPOINTS:
        raise ConfigurationError(f"RECOMMENDER_WEBHOOKS={str(path)!r}: more than {MOST_ENDPOINTS} endpoints")
    endpoints = tuple(_endpoint(path, number, table, secret) for number, table in enumerate(tables, 1))
    names = [endpoint.name for endpoint in endpoints]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ConfigurationError(f"RECOMMENDER_WEBHOOKS={str(path)!r}: two endpoints are called {twice!r}")
    return endpoints


def _endpoint(path: Path, number: int, table: dict[str, Any], secret: str) -> Endpoint:
    """One of them; files that it names are looked for beside ``path``."""
    table = dict(table)
    place = f"RECOMMENDER_WEBHOOKS={str(path)!r}: endpoint {table.get('name', number)}"
    secret_file, url_file = table.pop("secret_file", None), table.pop("url_file", None)
    if "keys" in table or (url_file is not None and "url" in table):
        raise ConfigurationError(f"{place}: give one of url and url_file, and secrets in secret_file")
    if url_file is not None:
        table["url"] = _text(path.parent / str(url_file), _LARGEST_SECRET_FILE).strip()
    secrets = [secret] if secret else []
    if secret_file is not None:
        secrets = _text(path.parent / str(secret_file), _LARGEST_SECRET_FILE).split()
    try:
        keys = tuple(map(key_of, secrets))
        return Endpoint.model_validate({**table, "keys": keys})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise ConfigurationError(
            f"{place}: {field and field + ': '}{first['msg'].removeprefix('Value error, ')}"
        ) from None
    except ValueError as error:
        raise ConfigurationError(f"{place}: {error}") from None


def _text(path: Path, most: int) -> str:
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(most + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError(f"{path}: the file of a webhook cannot be read: {reason}") from None
    if len(text) > most:
        raise ConfigurationError(f"{path}: the file of a webhook is larger than {most} characters")
    return text
