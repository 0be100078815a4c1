"""The command group: names, order, errors and exit codes."""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
from contextlib import suppress
from typing import Any

import click
from redis.exceptions import RedisError

from celery_recommender.ending import INTERRUPTED
from celery_recommender.settings import log_format, wait_passively
from recommender_engine.errors import ConfigurationError, InvalidCommand, RecommenderError
from recommender_engine.event_log import event_log

# Name and home of each command, in the order in which a newcomer needs them. A module is imported when its command is
# called, so `--help` and `watch` do not pay for what `worker` needs.
_COMMANDS = {
    "demo": "celery_recommender.cli.run.demo",
    "worker": "celery_recommender.cli.run.worker",
    "embed-worker": "celery_recommender.cli.run.embed_worker",
    "ingest": "celery_recommender.cli.data.ingest",
    "enrich": "celery_recommender.cli.data.enrich",
    "search": "celery_recommender.cli.verdicts.questions",
    "compare": "celery_recommender.cli.verdicts.questions",
    "get": "celery_recommender.cli.verdicts.questions",
    "watch": "celery_recommender.cli.verdicts.watch",
    "stats": "celery_recommender.cli.operate.stats",
    "feedback": "celery_recommender.cli.verdicts.feedback",
    "calibrate": "celery_recommender.cli.verdicts.calibrate",
    "configure": "celery_recommender.cli.operate.configure",
    "delete-collection": "celery_recommender.cli.operate.delete_collection",
    "pairs": "celery_recommender.cli.data.pairs",
    "tune": "celery_recommender.cli.verdicts.tune",
    "export": "celery_recommender.cli.data.export",
    "evaluate": "celery_recommender.cli.data.evaluate",
    "backup": "celery_recommender.cli.operate.backup",
    "restore": "celery_recommender.cli.operate.backup",
    "verify": "celery_recommender.cli.operate.backup",
    "move": "celery_recommender.cli.operate.move",
    "dead-letters": "celery_recommender.cli.operate.dead_letters",
    "bench": "celery_recommender.cli.run.bench",
    "doctor": "celery_recommender.cli.doctor.command",
}

_SERVICES = ("worker", "embed-worker")
_log = event_log(__name__)


class _Commands(click.Group):
    """A group whose commands live in modules of their own; errors of ours become one line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        home = _COMMANDS.get(cmd_name)
        if home is None:
            return None
        command: click.Command = getattr(importlib.import_module(home), cmd_name.replace("-", "_"))
        return command

    def main(self, *args: Any, **options: Any) -> Any:
        """Be the command; what the output cannot encode is escaped."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        return super().main(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:
        wait_passively()
        try:
            try:
                return self._invoke(ctx)
            finally:
                _give_state_back()
        except click.ClickException as error:
            if _logs_json(ctx):
                _log.critical("command.failed", extra={"error": error.format_message(), "command": _named(ctx)})
                raise click.exceptions.Exit(error.exit_code) from error
            raise

    def _invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except InvalidCommand as error:
            raise _refusal(f"{error.code}: {error}") from error
        except RecommenderError as error:
            raise _refusal(_naming(str(error)), _code(ctx, error)) from error
        except RedisError as error:
            known = _explained(error)
            told = str(known) if known is not error else f"{_server()} cannot be used: {_in_words(error)}"
            raise _refusal(told, _code(ctx, known)) from error
        except OSError as error:
            if error.errno == errno.EPIPE:  # whoever read our output has read enough
                raise
            told = f"{error.filename}: {error.strerror}" if error.filename else str(error)
            raise _refusal(_naming(told)) from error
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            raise click.exceptions.Exit(INTERRUPTED) from None


def _give_state_back() -> None:
    """What root has done in a service's state directory belongs to the service."""
    if os.geteuid() != 0:
        return
    files, common = (
        importlib.import_module(name) for name in ("recommender_engine.files", "celery_recommender.cli.common")
    )
    with suppress(ConfigurationError, OSError):
        state = common.load_settings().state_dir.absolute()
        files.give_to_owner_of(state if state.stat().st_uid else state.parent, state)


def _naming(told: str) -> str:
    """What went wrong, with the name of the setting that it comes from; settings that cannot be read name none."""
    try:
        settings = importlib.import_module("celery_recommender.cli.common").load_settings()
    except RecommenderError:
        return told
    named: str = importlib.import_module("celery_recommender.settings").naming(told, settings)
    return named


def _named(ctx: click.Context) -> str:
    return ctx.invoked_subcommand or ""


def _logs_json(ctx: click.Context) -> bool:
    """Whether the command's standard error is a log, and that log is for machines."""
    if _named(ctx) not in _SERVICES or log_format() != "json":
        return False
    importlib.import_module("celery_recommender.logs").begin_logs()
    return True


def _server() -> str:
    """The server that failed, without its password."""
    common, connections = (importlib.import_module(f"workers.{name}") for name in ("cli.common", "broker.connections"))
    url = common.load_settings().redis_url
    return f"the Redis server {connections.masked(url)} (RECOMMENDER_REDIS_URL)" if url else "the Redis server"


def _explained(error: RedisError) -> Exception:
    """What is to be changed, where that can be told."""
    fitness, common = (importlib.import_module(f"workers.{name}") for name in ("broker.fitness", "cli.common"))
    explained: Exception = fitness.explained(error, common.load_settings().redis_url)
    return explained


def _in_words(error: RedisError) -> str:
    words: str = importlib.import_module("celery_recommender.broker.redis.fitness").in_words(error)
    return words


def _code(ctx: click.Context, error: Exception) -> int:
    """Of a service whose settings have to be changed first, so that a supervisor need not try again."""
    return os.EX_CONFIG if isinstance(error, ConfigurationError) and _named(ctx) in _SERVICES else 1


class _Refusal(click.ClickException):
    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]  # the base class has it on the class


def _refusal(text: str, code: int = 1) -> click.ClickException:
    """An error whose message may quote strangers."""
    common = importlib.import_module("celery_recommender.cli.common")
    return _Refusal(common.printable(text).plain, code)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="celery-recommender")
def main() -> None:
    """Similar items and duplicate verdicts for what passes through your queue.

    \b
    Try it:          recommender demo
    Run it:          recommender worker
    Feed it:         recommender ingest tickets.csv --text-field title --text-field description
    Ask it:          recommender search "cannot log in"
    Watch it:        recommender watch
    Correct it:      recommender feedback different T-17 T-9
    Measure it:      recommender calibrate default
    See rejections:  recommender dead-letters list
    When in doubt:   recommender doctor

    Settings come from the environment: RECOMMENDER_REDIS_URL, RECOMMENDER_STATE_DIR … (docs/reference/settings.md).
    Without RECOMMENDER_REDIS_URL `recommender worker` starts a private server in the state directory (.recommender),
    and the other commands there use it.

    \b
    Exit codes:  0 done   1 failed, the reason is on standard error   2 wrong usage   3 some rows of a file failed
                 130 interrupted   70, 78, 143: docs/reference/command-line.md
    """
