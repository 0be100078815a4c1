"""Settings of a process, read from the environment once. The only module that reads it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from celery_recommender import variables
from celery_recommender.urls import ServerAddress, check_foreign, is_redis
from celery_recommender.variables import PREFIX, Unknown, variable
from recommender_engine.errors import ConfigurationError
from recommender_engine.event_log import event_log

__all__ = [
    "BYTES_PER_TOKEN",
    "PREFIX",
    "SECRETS",
    "SETTINGS_FILE",
    "Settings",
    "environment_of_others",
    "has_screen",
    "log_format",
    "naming",
    "process_environment",
    "take_settings_file",
    "unknown_variables",
    "variable",
    "variables_of_the_platform",
    "wait_passively",
    "write_settings_file",
]

log = event_log(__name__)

SECRETS = frozenset({"redis_url", "broker_url", "result_backend", "web_proxy_secret", "webhook_secret"})
"""Settings that may hold a password."""
BYTES_PER_TOKEN = 4
"""An English word piece is about four characters; the budget of a batch needs no more than a guess."""
SETTINGS_FILE = Path("recommender.env")
"""Settings that `recommender init` writes and the command line reads, in the working directory."""
_HEAD = (
    "# Settings of `recommender` in this directory, written by `recommender init`. The environment has precedence.\n"
)
_SAID_OTHERWISE = {"WARN": "WARNING", "CRITICAL": "ERROR", "FATAL": "ERROR"}
_KEY_PREFIX = re.compile(r"[A-Za-z0-9:._/-]{0,64}")
_OF_THE_STATE = re.compile(r"\bthe state (?:directory\b|is damaged|cannot be written)|check of the state failed")
_PARTITION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class Settings(BaseModel):
    """Everything that can be set; each field is the variable ``RECOMMENDER_`` + its name in capitals.

    Attributes:
        redis_url: Redis or Valkey server of the streams. Empty: in your own Celery app the app's broker, if it is one;
            on the command line a private server in the state directory, which ``recommender worker`` starts.
        broker_url: Celery broker of ``recommender worker``; empty: the Redis server.
        result_backend: its result backend; empty: the Redis server; ``disabled``: none.
        result_expires_s: lifetime of results.
        state_dir: database, index snapshots and the private server.
        key_prefix: prefix of every key in Redis, on a shared server: streams, queues and results of ``recommender
            worker``. In your own Celery app the queues follow the app's ``global_keyprefix``.
        partition: partition of clients; with ``RECOMMENDER_PARTITIONS``, the one that a worker owns.
        partitions: all partitions, comma-separated, if there are several: each collection belongs to one by a hash of
            its name; empty: everything is in ``RECOMMENDER_PARTITION``.
        routes: collections with a fixed partition, comma-separated: ``COLLECTION=PARTITION``. A move takes precedence.
        models: further embedding models, comma-separated: ``NAME=DIRECTORY`` or ``NAME=ORG/REPO@REVISION``.
        models_dir: folder of registered models (``recommender model add``), which all processes share; empty:
            ``models`` in the state directory.
        threads: CPU threads of the model; empty: one for each processor that a container's quota, too, allows.
        encoder: embedding backend: ``auto`` measures the available ones for a second each and takes the fastest that
            agrees with the reference; ``torch-float32`` (the reference), ``torch-bfloat16``, ``torch-float16`` (GPU),
            ``openvino-bfloat16`` (extra ``openvino``); or ``openvino-int8`` (extra ``int8``), which is another model.
        long_texts: texts that are longer than the model reads: ``truncate``: the end is not read; ``windows``: the mean
            of overlapping windows, which is another model.
        batch_tokens: a batch takes waiting commands up to about this many tokens of text.
        batch_items: … and up to this many commands.
        most_waiting: maximum of commands that wait in the stream; beyond it producers are refused (``Overloaded``); 0:
            no limit.
        message_rules: file with your own phrases around messages, in the tables of
            ``recommender_engine/message/rules.toml``, which it extends. After a change stored items are cut again.
        max_collections: maximum of collections in a partition; a command that would create one more is rejected. Do not
            change it while commands wait.
        deliver_task: name of your Celery task that is called with every event; empty: none.
        deliver_queue: its queue; empty: as the app routes that task (``task_routes``, or its default queue).
        deliver_retry_s: how long a delivery waits for an unreachable broker; then, or after three attempts if waiting
            does not help (a missing queue), it becomes a dead letter.
        deliver_types: event types to deliver, comma-separated; by default those that change what is shown of an item.
        webhooks: TOML file of HTTP endpoints that events are sent to; empty: none.
        webhook_secret: signs the requests to endpoints that have no ``secret_file`` (``whsec_`` and Base64).
        webhook_retry_s: how old an event becomes while its endpoint fails; then it is given up.
        events_max_length: the events stream is always trimmed to about this many entries.
        events_max_bytes: … and to about this many bytes on the server, or a third of its ``maxmemory`` if that is less.
        events_retention: what the events stream drops before that: ``size``: nothing; ``age``: events older than
            ``RECOMMENDER_EVENTS_HOURS``; ``groups``: events that every registered consumer group has acknowledged.
        events_hours: maximum age of an event in the stream, with ``age``.
        dead_letters_max_length: the stream of dead letters is trimmed to about this many.
        dead_letters_max_bytes: … and to about this many bytes, or an eighth of the server's ``maxmemory`` if that is
            less.
        outbox_hours: how long published events can be read again from the store; at least the 24 hours of keys.
        outbox_max_bytes: … and at most this many bytes of them.
        metrics_port: port for ``/metrics`` and the probes (``/livez``, ``/readyz``, ``/healthz``); 0: none.
        metrics_host: address they listen on.
        standby: wait while another process owns the partition, then take over; otherwise exit with an error.
        lease_s: how long a silent owner keeps the partition; a process that has ended on the same machine and volume is
            succeeded at once.
        stall_after_s: ``/livez`` fails when commands wait and none has been committed for so long. A supervisor that
            acts on it precedes the watchdog (``hang_after_s``), which reports where a batch hangs.
        backup_dir: where the worker keeps backups of its state, best on another disk; empty: no automatic backups. With
            it, commands stay in their stream until they are in a verified backup.
        backup_every_s: interval of backups.
        backup_keep: number of backups kept.
        hang_after_s: a batch that takes longer than this, and a thousandth of it for each command, ends the process.
        embed_workers: approximate number of embed workers (``recommender embed-worker``), which get batches of texts
            ahead of time; 0: the owner embeds.
        embed_queue: their Celery queue.
        embed_metrics_port: port for ``/livez``, ``/readyz`` and ``/metrics`` of ``recommender embed-worker``, on
            ``metrics_host``; of several on one machine the first has it. 0: none.
        embed_timeout_s: an unanswered batch goes to another embed worker after this time; sooner, if recent ones were
            much faster. At most a quarter of ``hang_after_s`` counts.
        suspect_after: number of consecutive deaths over a batch after which it is searched for the fatal message.
        web_host: address that ``recommender web`` listens on. Any but a loopback address needs users or a proxy.
        web_port: its port; 0: any that is free.
        web_hosts: names under which browsers reach it, comma-separated, beside ``localhost`` and addresses.
        web_users: file of its users, which ``recommender web user add`` writes; empty: none, on loopback only.
        web_session_hours: how long a user stays logged in.
        web_files_mib: MiB of Redis that uploaded files and what is made of them may take together; one, a quarter.
        web_files_hours: how long files and jobs of the page are kept.
        web_proxy_header: header in which a proxy that authenticates names the user (``X-Forwarded-User``); empty: none.
        web_proxy_peers: addresses and networks of that proxy, comma-separated: the header counts from there only.
        web_proxy_secret: … and only with this secret in ``X-Recommender-Proxy-Secret``. One of the two is needed.
        web_proxy_role: role of the proxy's users who are not in the file of users: ``look``, ``answer`` or
            ``configure``.
        log_level: level of the log.
        log_format: ``text`` for people, ``json`` for machines.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    # A URL may hold a password, and a representation ends up in logs.
    redis_url: Annotated[str, Field(repr=False)] = ""
    broker_url: Annotated[str, Field(repr=False)] = ""
    result_backend: Annotated[str, Field(repr=False)] = ""
    result_expires_s: Annotated[int, Field(ge=1)] = 3600
    state_dir: Path = Path(".recommender")
    key_prefix: str = ""
    partition: str = "default"
    partitions: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    models_dir: Path | None = None
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    encoder: Literal[
        "auto", "torch-float32", "torch-bfloat16", "torch-float16", "openvino-bfloat16", "openvino-int8"
    ] = "auto"
    long_texts: Literal["truncate", "windows"] = "truncate"
    batch_tokens: Annotated[int, Field(ge=1)] = 65_536
    batch_items: Annotated[int, Field(ge=1, le=100_000)] = 1024
    most_waiting: Annotated[int, Field(ge=0)] = 1_000_000
    message_rules: Path | None = None
    max_collections: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    deliver_task: str = ""
    deliver_queue: str = ""
    deliver_retry_s: Annotated[float, Field(gt=0)] = 86_400.0
    deliver_types: tuple[str, ...] = (
        "recommender.item.processed.v1",
        "recommender.item.revised.v1",
        "recommender.item.patched.v1",
        "recommender.item.deleted.v1",
        "recommender.recommendations.updated.v1",
    )
    webhooks: Path | None = None
    webhook_secret: Annotated[str, Field(repr=False)] = ""
    webhook_retry_s: Annotated[float, Field(gt=0)] = 86_400.0
    events_max_length: Annotated[int, Field(ge=1000)] = 1_000_000
    events_max_bytes: Annotated[int, Field(ge=1 << 20)] = 1 << 30
    events_retention: Literal["size", "age", "groups"] = "size"
    events_hours: Annotated[int, Field(ge=1)] = 48
    dead_letters_max_length: Annotated[int, Field(ge=1)] = 10_000
    dead_letters_max_bytes: Annotated[int, Field(ge=1 << 20)] = 1 << 27
    outbox_hours: Annotated[int, Field(ge=24)] = 48
    outbox_max_bytes: Annotated[int, Field(ge=1 << 20)] = 16 << 30
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = 0
    metrics_host: str = "127.0.0.1"
    standby: bool = False
    lease_s: Annotated[float, Field(ge=1, le=3600)] = 10.0
    stall_after_s: Annotated[float, Field(gt=0)] = 120.0
    backup_dir: Path | None = None
    backup_every_s: Annotated[float, Field(gt=0)] = 3600.0
    backup_keep: Annotated[int, Field(ge=1)] = 3
    hang_after_s: Annotated[float, Field(gt=0)] = 300.0
    embed_workers: Annotated[int, Field(ge=0, le=256)] = 0
    embed_queue: str = "recommender-embed"
    embed_metrics_port: Annotated[int, Field(ge=0, le=65535)] = 0
    embed_timeout_s: Annotated[float, Field(gt=0)] = 30.0
    suspect_after: Annotated[int, Field(ge=1)] = 3
    web_host: str = "127.0.0.1"
    web_port: Annotated[int, Field(ge=0, le=65535)] = 8080
    web_hosts: tuple[str, ...] = ()
    web_users: Path | None = None
    web_session_hours: Annotated[float, Field(gt=0, le=8760)] = 12.0
    web_files_mib: Annotated[int, Field(ge=1, le=2048)] = 64
    web_files_hours: Annotated[float, Field(gt=0, le=8760)] = 24.0
    web_proxy_header: str = ""
    web_proxy_peers: tuple[str, ...] = ()
    web_proxy_secret: Annotated[str, Field(repr=False)] = ""
    web_proxy_role: Literal["look", "answer", "configure"] = "look"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["text", "json"] = "text"

    @property
    def batch_bytes(self) -> int:
        """About how many bytes of commands make a batch."""
        return self.batch_tokens * BYTES_PER_TOKEN

    @property
    def embed_window(self) -> int:
        """Batches that may be with the fleet: one in work and one waiting at each worker, and a few more."""
        return 2 * self.embed_workers + 2 if self.embed_workers else 0

    @property
    def partition_dir(self) -> Path:
        """Where the state of the partition lives."""
        return self.state_dir / "state" / self.partition

    @property
    def registered_models(self) -> Path:
        """Folder of registered models."""
        return self.state_dir / "models" if self.models_dir is None else self.models_dir

    def places(self) -> Iterator[tuple[str, str]]:
        """Settings with files and folders that they name, those that may lie in others first."""
        yield from (("models", place) for place in (given.partition("=")[2] for given in self.models) if "/" in place)
        for name in ("message_rules", "backup_dir", "web_users", "webhooks", "models_dir", "state_dir"):
            if (place := getattr(self, name)) is not None:
                yield name, str(place)

    @property
    def all_partitions(self) -> tuple[str, ...]:
        """Every partition, in the order in which they are listed."""
        return self.partitions or (self.partition,)

    @property
    def home(self) -> str:
        """The partition for what belongs to no collection: the first that is listed, where none is named.

        Raises:
            ConfigurationError: one is named, and not listed; no other takes its place.
        """
        if self.partition == type(self).model_fields["partition"].default:
            return self.partition if self.partition in self.all_partitions else self.partitions[0]
        self.require_member()
        return self.partition

    def require_member(self) -> None:
        """See to it that the partition that is named is one of those that are listed.

        Raises:
            ConfigurationError: it is not.
        """
        if self.partition not in self.all_partitions:
            raise ConfigurationError(
                f"{variable('partition')}={self.partition!r}: it is not one of {variable('partitions')}"
                f" ({', '.join(self.partitions)})"
            )

    @property
    def route_of(self) -> dict[str, str]:
        """Partitions by collection, as far as they are set."""
        return {collection: partition for collection, _, partition in (one.rpartition("=") for one in self.routes)}

    @field_validator("models", "deliver_types", "partitions", "routes", "web_hosts", "web_proxy_peers", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("encoder", "long_texts", "events_retention", "log_level", "log_format", mode="before")
    @classmethod
    def _in_any_case(cls, value: object, info: ValidationInfo) -> object:
        if not isinstance(value, str):
            return value
        choices = get_args(cls.model_fields[str(info.field_name)].annotation)
        meant = _SAID_OTHERWISE.get(value.upper(), value) if info.field_name == "log_level" else value
        return next((choice for choice in choices if choice.lower() == meant.lower()), value)

    @field_validator("threads", "backup_dir", "message_rules", "web_users", "webhooks", "models_dir", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return value or None

    @field_validator("redis_url", "broker_url", "result_backend")
    @classmethod
    def _can_be_read(cls, value: str, info: ValidationInfo) -> str:
        try:
            if info.field_name == "redis_url" or is_redis(value):
                ServerAddress.parse(value) if value else None
            else:
                check_foreign(value)
        except ConfigurationError as error:
            raise ValueError(str(error)) from None
        return value

    @field_validator("web_proxy_peers")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for peer in value:
            ip_network(peer, strict=False)
        return value

    @field_validator("key_prefix")
    @classmethod
    def _of_plain_characters(cls, value: str) -> str:
        if not _KEY_PREFIX.fullmatch(value):
            raise ValueError("letters, digits and : . _ / - only, at most 64")
        return value

    @field_validator("partition")
    @classmethod
    def _plain(cls, value: str) -> str:
        if not _PARTITION.fullmatch(value):
            raise ValueError("letters, digits, - and _ only, at most 64")
        return value

    @field_validator("partitions")
    @classmethod
    def _plain_and_distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for partition in value:
            cls._plain(partition)
        if len(set(value)) < len(value):
            raise ValueError("a partition stands there twice")
        return value

    @field_validator("routes")
    @classmethod
    def _to_partitions(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for route in value:
            collection, _, partition = route.rpartition("=")
            if not collection or partition not in info.data.get("partitions", ()):
                raise ValueError(f"{route!r} is not COLLECTION=PARTITION with one of RECOMMENDER_PARTITIONS")
        return value

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read the variables that are set.

        Raises:
            ConfigurationError: names the variable and what is wrong with its value.
        """
        environment = os.environ if environment is None else environment
        for one in unknown_variables(environment):
            _warn_once(str(one))
        if ignored := variables.from_the_platform(environment):
            log.debug("settings.of_the_platform", extra={"ignored": ",".join(ignored)})
        return cls._validated(variables.values(environment, cls.model_fields, SECRETS))

    def replaced(self, **changes: object) -> Self:
        """The same with some values changed, validated again.

        Raises:
            ConfigurationError: names the variable and what is wrong with its value.
        """
        return self._validated({**self.model_dump(), **changes})

    @classmethod
    def _validated(cls, values: Mapping[str, object]) -> Self:
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = str(first["loc"][0])
            message = first["msg"].removeprefix("Value error, ")
            shown = "" if name in SECRETS else f"={values[name]!r}"
            raise ConfigurationError(f"{variable(name)}{shown}: {message}") from None

    def to_environment(self) -> dict[str, str]:
        """Variables from which another process reads the same settings."""
        result = {variable(name) + variables.FILE: "" for name in SECRETS}
        for name, value in self.model_dump().items():
            text = ",".join(value) if isinstance(value, tuple) else "" if value is None else str(value)
            result[variable(name)] = text
        return result


@cache
def _warn_once(text: str) -> None:
    """A process reads its settings more than once."""
    log.warning(text)


_WAIT_POLICY = "OMP_WAIT_POLICY"


def wait_passively() -> None:
    """Have the model's threads sleep while they wait for each other, unless the environment says otherwise.

    By default they spin. Beside one busy neighbour, or in a container with a quota, that burns several times the
    processor time that the model needs. To be called before torch is imported; the environment of a whole process.
    """
    os.environ.setdefault(_WAIT_POLICY, "PASSIVE")


def take_settings_file() -> None:
    """Take what ``recommender.env`` in the working directory sets and the environment does not.

    For the command line alone: an application that imports this package reads its environment, and no file.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    for name, value in variables.in_settings_file(SETTINGS_FILE).items():
        if not {name, name + variables.FILE, name.removesuffix(variables.FILE)} & os.environ.keys():
            os.environ[name] = value


def write_settings_file(given: Mapping[str, str]) -> Path:
    """Write settings into ``recommender.env`` in the working directory, beside those that it holds.

    Args:
        given: values by field.

    Returns:
        The file, which its owner alone may read: an address may hold a password.
    """
    path = SETTINGS_FILE.absolute()
    text = path.read_text(encoding="utf-8-sig") if path.exists() else _HEAD
    temporary = path.with_name(f"{path.name}.new")
    temporary.touch(mode=0o600)
    temporary.write_text(variables.with_settings(text, {variable(name): value for name, value in given.items()}))
    temporary.replace(path)
    return path


def has_screen() -> bool:
    """Whether this process is on somebody's desktop, so that a browser can be opened."""
    return sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def process_environment() -> dict[str, str]:
    """A copy of this process's environment, for a child process."""
    return dict(os.environ)


def environment_of_others() -> dict[str, str]:
    """The same for a program that is not ours: whose threads wait for each other as they do by default."""
    return {name: value for name, value in os.environ.items() if name != _WAIT_POLICY}


def unknown_variables(environment: Mapping[str, str] | None = None) -> tuple[Unknown, ...]:
    """Variables with our prefix that are no setting, and what may be meant."""
    return variables.unknown(os.environ if environment is None else environment, Settings.model_fields, SECRETS)


def log_format() -> str:
    """The format of the log, whatever else is set or wrong."""
    given = variables.values(os.environ, ["log_format"], ()).get("log_format", "").lower()
    return given if given in get_args(Settings.model_fields["log_format"].annotation) else "text"


def naming(error: BaseException | str, settings: Settings | None = None) -> str:
    """The message of an error about a file or the state, with the name of the setting of its place.

    Args:
        error: it, or what it says.
        settings: whose folders it may speak of; without them the state alone is known.
    """
    told = str(error)
    if PREFIX in told:
        return told
    for name, place in () if settings is None else settings.places():
        if re.search(rf"(?<![\w./-]){re.escape(place)}(?![\w.-])", told):
            return f"{told} ({variable(name)})"
    return f"{told} ({variable('state_dir')})" if _OF_THE_STATE.search(told) else told


def variables_of_the_platform() -> tuple[str, ...]:
    """Variables that only look like ours: Kubernetes has made them for its Services."""
    return variables.from_the_platform(os.environ)
