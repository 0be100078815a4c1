"""The command group: names, order, errors and exit codes."""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
from contextlib import suppress
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click

from celery_recommender.cli.commands import COMMANDS
from celery_recommender.ending import INTERRUPTED
from recommender_engine.errors import ConfigurationError, InvalidCommand, RecommenderError
from recommender_engine.event_log import event_log

if TYPE_CHECKING:
    from redis.exceptions import RedisError

_SERVICES = ("worker", "embed-worker", "web")
_log = event_log(__name__)


class _Commands(click.Group):
    """The commands of ``COMMANDS``, imported when called; errors of this package become one line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        home = importlib.import_module(f"celery_recommender.cli.{module}")
        command: click.Command = getattr(home, cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in ``--help``, from the table alone: no command is imported for it."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_) for name, (_, help_) in COMMANDS.items()])

    def main(self, *args: Any, **options: Any) -> Any:
        """Run; characters that the output cannot encode are escaped."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        return super().main(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:
        _settings().wait_passively()
        try:
            try:
                _take_settings_file()
                return self._invoke(ctx)
            finally:
                _give_state_back()
        except click.ClickException as error:
            if _logs_json(ctx):
                _log.critical("command.failed", extra={"error": error.format_message(), "command": _named(ctx)})
                raise click.exceptions.Exit(error.exit_code) from error
            raise

    def _invoke(self, ctx: click.Context) -> Any:
        from redis.exceptions import RedisError

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
            if error.errno == errno.EPIPE:  # the reader of our output has closed it
                raise
            told = f"{error.filename}: {error.strerror}" if error.filename else str(error)
            raise _refusal(_naming(told)) from error
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            raise click.exceptions.Exit(INTERRUPTED) from None


def _edge(*names: str) -> tuple[ModuleType, ...]:
    """Modules that only a command that runs needs: ``--help`` answers without them."""
    return tuple(importlib.import_module(f"celery_recommender.{name}") for name in names)


def _take_settings_file() -> None:
    try:
        _settings().take_settings_file()
    except ConfigurationError as error:
        raise _refusal(str(error)) from error


def _settings() -> ModuleType:
    (settings,) = _edge("settings")
    return settings


def _give_state_back() -> None:
    """Give files that root has made in a service's state directory to the service."""
    if os.geteuid() != 0:
        return
    files, (common,) = importlib.import_module("recommender_engine.files"), _edge("cli.common")
    with suppress(ConfigurationError, OSError):
        state = common.load_settings().state_dir.absolute()
        files.give_to_owner_of(state if state.stat().st_uid else state.parent, state)


def _naming(told: str) -> str:
    """A message with the name of the setting that it comes from; none while the settings cannot be read."""
    try:
        settings = _edge("cli.common")[0].load_settings()
    except RecommenderError:
        return told
    named: str = _settings().naming(told, settings)
    return named


def _named(ctx: click.Context) -> str:
    return ctx.invoked_subcommand or ""


def _logs_json(ctx: click.Context) -> bool:
    """Whether the command's standard error is a log, and that log is for machines."""
    if _named(ctx) not in _SERVICES or _settings().log_format() != "json":
        return False
    _edge("logs")[0].begin_logs()
    return True


def _server() -> str:
    """The server that failed, without its password."""
    common, connections = _edge("cli.common", "broker.redis.connections")
    url = common.load_settings().redis_url
    return f"the Redis server {connections.masked(url)} (RECOMMENDER_REDIS_URL)" if url else "the Redis server"


def _explained(error: RedisError) -> Exception:
    """The error with what is to be changed, where that is known."""
    fitness, common = _edge("broker.redis.fitness", "cli.common")
    explained: Exception = fitness.explained(error, common.load_settings().redis_url)
    return explained


def _in_words(error: RedisError) -> str:
    words: str = _edge("broker.redis.fitness")[0].in_words(error)
    return words


def _code(ctx: click.Context, error: Exception) -> int:
    """Of a service whose settings have to be changed first, so that a supervisor need not try again."""
    return os.EX_CONFIG if isinstance(error, ConfigurationError) and _named(ctx) in _SERVICES else 1


class _Refusal(click.ClickException):
    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]  # the base class has it on the class


def _refusal(text: str, code: int = 1) -> click.ClickException:
    """An error whose message may quote untrusted text."""
    (common,) = _edge("cli.common")
    return _Refusal(common.printable(text).plain, code)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="celery-recommender")
def main() -> None:
    """Similar items and duplicate verdicts for what passes through your queue.

    \b
    Try it:          recommender demo
    Set it up:       recommender init
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

    Completion of the shell: eval "$(_RECOMMENDER_COMPLETE=bash_source recommender)", or zsh_source; fish:
    _RECOMMENDER_COMPLETE=fish_source recommender | source

    \b
    Exit codes:  0 done   1 failed, or no row of a file succeeded   2 wrong usage   3 some rows of a file failed
                 130 interrupted   70, 78, 143: docs/reference/command-line.md
    """
