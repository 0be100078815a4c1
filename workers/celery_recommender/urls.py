"""URLs of servers: one reading of every form that redis-py and Celery know, for all of our processes.

=====================================================================  ===============================================
``redis://[user:password@]host[:port][/DB]``, ``valkey://``            TCP
``rediss://…``, ``valkeys://…``                                        TCP with TLS
``unix://[user:password@]/PATH[?db=DB]``, ``redis+socket://…``         a socket of this machine
``sentinel://[user:password@]host[:port][,host[:port]…]/SERVICE[/DB]``  the master that Sentinel names
``sentinel://host;sentinel://host?master_name=SERVICE``                the same as Celery writes it
=====================================================================  ===============================================

Whatever is wrong with a URL, no message repeats its password, nor a part of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import quote, urlencode

from celery_recommender.url_options import (
    ADVICE,
    DB,
    SECRETS,
    SERVICE,
    WrongUrl,
    decoded,
    read_options,
    timeouts,
    tls_options,
)
from recommender_engine.errors import ConfigurationError

Kind = Literal["tcp", "tls", "unix", "sentinel", "sentinel-tls"]

_KINDS: dict[str, Kind] = {
    "redis": "tcp",
    "valkey": "tcp",
    "rediss": "tls",
    "valkeys": "tls",
    "unix": "unix",
    "redis+socket": "unix",
    "redis+unix": "unix",
    "sentinel": "sentinel",
    "redis+sentinel": "sentinel",
    "sentinels": "sentinel-tls",
    "rediss+sentinel": "sentinel-tls",
}
_SCHEMES = {"tcp": "redis", "tls": "rediss", "unix": "unix", "sentinel": "sentinel", "sentinel-tls": "sentinels"}
_BESIDE = ("client_name", "sentinel_username", "sentinel_password")
_SHOWN = ("redis", "rediss", "unix", "sentinel", "sentinels", "valkey", "valkeys", "redis+socket")
_FORM = "sentinel://[user:password@]host:port[,host:port…]/SERVICE[/DB]"
_NO_CLUSTER = "Redis Cluster is not supported: name a server that is not in cluster mode, or Sentinels"
_PORTS = {"sentinel": 26379, "sentinel-tls": 26379}
_HOST = re.compile(r"[^\s/@?#\[\]:]+|\[[0-9A-Fa-f:.]+(?:%(?:25)?\w+)?\]")


@dataclass(frozen=True)
class ServerAddress:
    """What a URL says.

    Attributes:
        kind: how the server is reached.
        hosts: names and ports: of the server, or of the Sentinels; none for a socket.
        path: of the socket.
        service: what the Sentinels call the master.
        db: number of the database.
        username: of the server's user; ``None``: the default one.
        password: of the server.
        sentinel_username: of the Sentinels' user.
        sentinel_password: of the Sentinels; ``None``: that of the server, if they want one.
        timeouts: seconds, as redis-py and Celery call them.
        tls: as redis-py calls it.
        client_name: as the server's list of clients shows it.
    """

    kind: Kind
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    service: str = ""
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)
    timeouts: Mapping[str, float] = field(default_factory=dict)
    tls: Mapping[str, Any] = field(default_factory=dict)
    client_name: str | None = None

    @classmethod
    def parse(cls, url: str, service: str = "") -> ServerAddress:
        """Read a URL.

        Args:
            url: as a setting, or a Celery app, has it.
            service: of the Sentinels, where the URL names none.

        Raises:
            ConfigurationError: it cannot be understood, or asks for what is not supported; says what to change.
        """
        try:
            return _parsed(url.strip(), service)
        except WrongUrl as error:
            outline = _in_outline(url)
            raise ConfigurationError(f"{outline}: {error}" if outline else str(error)) from None

    @property
    def over_sentinel(self) -> bool:
        """Whether Sentinels are asked for the server."""
        return self.kind in ("sentinel", "sentinel-tls")

    def shown(self) -> str:
        """The URL without passwords."""
        user = "" if self.password is None and not self.username else f"{self.username or ''}"
        login = f"{user}:***@" if self.password is not None else f"{user}@" if user else ""
        if self.kind == "unix":
            return f"unix://{login}{self.path}" + (f"?db={self.db}" if self.db else "")
        hosts = ",".join(_at(host, port) for host, port in self.hosts)
        return f"{_SCHEMES[self.kind]}://{login}{hosts}/{f'{self.service}/' if self.service else ''}{self.db}"

    def url(self) -> str:
        """The same as one URL, with everything that it says."""
        login = _login(self.username, self.password)
        said: dict[str, Any] = {**self.timeouts, **self.tls}
        said |= {name: value for name in _BESIDE if (value := getattr(self, name))}
        if self.kind == "unix":
            return f"unix://{login}{quote(self.path)}{_query({'db': self.db, **said})}"
        hosts = ",".join(_at(host, port) for host, port in self.hosts)
        service = f"{quote(self.service, safe='')}/" if self.service else ""
        return f"{_SCHEMES[self.kind]}://{login}{hosts}/{service}{self.db}{_query(said)}"

    def celery_url(self, *, backend: bool = False) -> str:
        """The same server as Celery's broker names it, or its result backend.

        Raises:
            ConfigurationError: Celery would reach it without the TLS that the URL asks for.
        """
        login = _login(self.username, self.password)
        if self.kind == "sentinel-tls":
            raise ConfigurationError(
                f"{self.shown()}: Celery does not reach a server behind Sentinel over TLS; name another server with "
                "RECOMMENDER_BROKER_URL and RECOMMENDER_RESULT_BACKEND"
            )
        if self.kind == "unix":
            return f"redis+socket://{login}{quote(self.path)}?virtual_host={self.db}"
        if self.kind == "sentinel":
            return ";".join(f"sentinel://{login}{_at(host, port)}/{self.db}" for host, port in self.hosts)
        place = f"{login}{_at(*self.hosts[0])}/{self.db}"
        if self.kind == "tcp":
            return f"redis://{place}"
        said = {"ssl_cert_reqs": "required", **self.tls}
        if backend:  # Celery hands the text on, and any text is true: see `backend_options`
            said.pop("ssl_check_hostname", None)
        return f"rediss://{place}?{urlencode(said)}"


def masked(url: str) -> str:
    """The URL without its password, for messages and logs; of one that cannot be read, what is certainly no secret."""
    try:
        return ServerAddress.parse(url, "?").shown().replace("/?/", "/")
    except ConfigurationError:
        return _in_outline(url)


def is_redis(url: str) -> bool:
    """Whether a URL is of a kind that is read here; Celery has others."""
    return url.strip().partition("://")[0].lower() in _KINDS


def check_foreign(url: str) -> None:
    """See to it that a URL of another kind of broker can be read at all: Celery would repeat its password.

    Raises:
        ConfigurationError: it cannot.
    """
    if "cluster" in url.partition("://")[0]:
        raise ConfigurationError(f"{_in_outline(url)}: {_NO_CLUSTER}")
    for one in url.split(";"):
        scheme, found, rest = one.partition("://")
        authority = re.split("[/?#]", rest, maxsplit=1)[0]
        host = authority.rpartition("@")[2]
        port = host.rpartition(":")[2] if ":" in host.rpartition("]")[2] else ""
        if found and scheme in ("amqp", "amqps", "pyamqp", "librabbitmq", "py-amqp") and not re.fullmatch(r"\d*", port):
            raise ConfigurationError(f"{_in_outline(one)}: the port is no number; {ADVICE}")


def _in_outline(url: str) -> str:
    """Scheme, user, and the part after the last ``@``; nothing where any of it may be a part of a password."""
    scheme, found, rest = url.strip().partition("://")
    if not found or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]{0,20}", scheme):
        return ""
    login, at, place = rest.rpartition("@")
    if (
        not at
        or "password" in url.lower()
        or ";" in rest
        or not re.fullmatch(r"[\w.,:%\[\]-]*(/[\w.-]*)*(\?[\w=&.-]*)?", place)
    ):
        return f"{scheme}://…"
    user = re.match(r"[\w.%-]*(?=:)", login)  # what has no colon behind it may be a password
    return f"{scheme}://{user[0] if user else ''}:***@{place}"


def _parsed(url: str, service: str) -> ServerAddress:
    scheme = url.partition("://")[0].lower()
    if "cluster" in scheme:
        raise WrongUrl(_NO_CLUSTER)
    if scheme not in _KINDS or "://" not in url:
        raise WrongUrl(f"the URL must begin with one of {', '.join(f'{known}://' for known in _SHOWN)}")
    if not url.isprintable() or " " in url:
        raise WrongUrl("a URL holds no blanks and no control characters: percent-encode them")
    parts = re.split(rf"[;,](?=(?:{'|'.join(re.escape(known) for known in _KINDS)})://)", url.rstrip(";"))
    read = [_one(part, service) for part in parts]
    if len(read) == 1:
        return _whole(read[0])
    if not all(one.over_sentinel for one in read):
        raise WrongUrl(
            "a list of servers is not supported, since each would get a part of what is sent: name one server, or"
            " Sentinels (sentinel://…), which know the master"
        )
    return _whole(_merged(read))


def _merged(read: list[ServerAddress]) -> ServerAddress:
    """A list of Sentinels as one; what several of them say must be the same."""
    merged: dict[str, Any] = {}
    for name in ("kind", "service", "db", "username", "password", "sentinel_username", "sentinel_password"):
        said = {getattr(one, name) for one in read} - ({None, "", 0} if name != "kind" else set())
        if len(said) > 1:
            raise WrongUrl(f"the Sentinels of the list do not agree in their {name.replace('_', ' ')}")
        merged[name] = said.pop() if said else getattr(read[0], name)
    hosts = tuple(host for one in read for host in one.hosts)
    timeouts = {name: value for one in read for name, value in one.timeouts.items()}
    tls = {name: value for one in read for name, value in one.tls.items()}
    return replace(read[0], hosts=hosts, timeouts=timeouts, tls=tls, **merged)


def _whole(address: ServerAddress) -> ServerAddress:
    if address.over_sentinel and not address.service:
        raise WrongUrl(
            f"it is not {_FORM}: the name that the Sentinels give the master is missing (in Sentinel's own"
            " configuration: sentinel monitor NAME …); ?master_name=NAME says it, too"
        )
    return address


def _one(url: str, service: str) -> ServerAddress:
    scheme, _, rest = url.partition("://")
    kind = _KINDS[scheme.lower()]
    if "#" in rest:
        raise WrongUrl(f"a # ends a URL; {ADVICE}")
    place, _, query = rest.partition("?")
    authority, slash, path = place.partition("/")
    login, _, hosts = authority.rpartition("@")
    options = read_options(query)
    if "@" in path or "@" in "".join(value for name, value in options.items() if name not in (*SECRETS, "client_name")):
        raise WrongUrl(f"there is an @ behind the server's name; {ADVICE}")
    user, colon, password = login.partition(":")
    if login and not colon and "password" not in options:
        raise WrongUrl("a user without a password; a password alone stands behind a colon, redis://:PASSWORD@host")
    said: dict[str, Any] = {
        "kind": kind,
        "username": decoded(user) or options.get("username") or None,
        "password": (decoded(password) if colon else None) or options.get("password") or None,
        **{
            name: options[name]
            for name in ("sentinel_username", "sentinel_password", "client_name")
            if options.get(name)
        },
        "timeouts": timeouts(options),
        "tls": tls_options(options, kind in ("tls", "sentinel-tls")),
    }
    if kind == "unix":
        return _unix(said, hosts, decoded(slash + path), options)
    return _over_network(said, hosts, path, options, service)


def _unix(said: dict[str, Any], host: str, path: str, options: Mapping[str, str]) -> ServerAddress:
    if host:
        raise WrongUrl(f"the path of a socket begins with a third slash: unix:///run/redis.sock; {ADVICE}")
    if not path.strip("/"):
        raise WrongUrl("the path of the socket is missing: unix:///run/redis.sock")
    return ServerAddress(path=path, db=_db("", options), **said)


def _over_network(
    said: dict[str, Any], hosts: str, path: str, options: Mapping[str, str], service: str
) -> ServerAddress:
    kind: Kind = said["kind"]
    db = path.strip("/")
    if kind in ("sentinel", "sentinel-tls"):
        named, _, db = db.partition("/")
        if not db and named.isdecimal():  # Celery's form: the database and nothing else
            named, db = "", named
        others = [options[name] for name in SERVICE if name in options]
        said["service"] = decoded(named) or (others[0] if others else "") or service
        if not hosts or not re.fullmatch(r"\d*", db):
            raise WrongUrl(f"it is not {_FORM}; {ADVICE}")
    elif "," in hosts:
        raise WrongUrl("one server is named, not a list; behind Sentinels: sentinel://host:port,host:port/SERVICE")
    port = _PORTS.get(kind, 6379)
    read = tuple(_host(one, port) for one in re.split(r",(?![^\[]*\])", hosts))
    return ServerAddress(hosts=read, db=_db(db, options), **said)


def _host(text: str, port: int) -> tuple[str, int]:
    match = re.fullmatch(rf"({_HOST.pattern})?(?::(.*))?", text)
    if match is None:
        raise WrongUrl(f"host and port are not HOST:PORT (an IPv6 address stands in brackets: [::1]:6379); {ADVICE}")
    host, given = match[1] or "localhost", match[2]
    if given and not (re.fullmatch(r"[0-9]{1,5}", given) and 0 < int(given) < 65536):
        raise WrongUrl(f"the port is no number from 1 to 65535; {ADVICE}")
    return decoded(host.strip("[]")), int(given or port)


def _db(path: str, options: Mapping[str, str]) -> int:
    said = {value.strip("/") for value in (path, *(options[name] for name in DB if name in options))} - {""}
    if not all(re.fullmatch(r"[0-9]{1,9}", one) for one in said):
        raise WrongUrl(f"the database is no number, as in redis://host:6379/0; {ADVICE}")
    if len({int(one) for one in said}) > 1:
        raise WrongUrl("it names two databases: in its path and as ?db= or ?virtual_host=")
    return int(said.pop()) if said else 0


def _login(username: str | None, password: str | None) -> str:
    if password is None and not username:
        return ""
    return f"{quote(username or '', safe='')}:{quote(password or '', safe='')}@"


def _query(said: Mapping[str, Any]) -> str:
    return f"?{urlencode(said)}" if said else ""


def _at(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
