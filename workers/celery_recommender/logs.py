"""Log lines: an event name with keys; for people, or one JSON object a line."""

from __future__ import annotations

import json
import logging
import sys
import threading
from types import TracebackType
from typing import Any

from celery_recommender.settings import Settings, log_format
from recommender_engine.event_log import event_log, shown

log = event_log(__name__)

_OURS = ("recommender_engine", "celery_recommender")
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "data", "event"}


class _KeyValueFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """The line, its keys, and an indented traceback if there is one; no value can begin a new line."""
        keys = " ".join(f"{key}={shown(value)}" for key, value in _extra(record).items())
        time = self.formatTime(record, "%H:%M:%S")
        line = f"{time} {record.levelname.lower():7} {_one_line(_event(record))}{' ' if keys else ''}{keys}"
        return f"{line}\n{_indented(self.formatException(record.exc_info))}" if record.exc_info else line


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """One JSON object."""
        fields = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": _event(record),
            **_extra(record),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)


def configure_logs(settings: Settings) -> None:
    """Send the log of this process to standard error: with it Python's warnings, and what ends a thread or all."""
    _send(settings.log_format)
    for name in (*_OURS, "celery.worker"):
        logging.getLogger(name).setLevel(settings.log_level)
    logging.getLogger("celery.app.trace").setLevel(logging.WARNING)
    quiet = logging.getLogger("celery.worker").level >= logging.INFO  # else a line for each question that is asked
    logging.getLogger("celery.worker.strategy").setLevel(logging.WARNING if quiet else logging.NOTSET)
    logging.getLogger("celery.redirected").setLevel(logging.WARNING)


def begin_logs() -> None:
    """The same before the settings are known, or can be: so that what is wrong with them has the format that is set."""
    _send(log_format())


def _send(format_: str) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonFormatter() if format_ == "json" else _KeyValueFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    sys.unraisablehook = _log_ignored
    threading.excepthook = lambda said: _log_uncaught(said.exc_type, said.exc_value, said.exc_traceback, said.thread)


def _log_uncaught(
    kind: type[BaseException],
    error: BaseException | None,
    traceback: TracebackType | None,
    thread: threading.Thread | None = None,
) -> None:
    if issubclass(kind, SystemExit):
        return
    extra = {"error": repr(error), **({"where": thread.name} if thread else {})}
    log.critical("process.failed", exc_info=(kind, error or kind(), traceback), extra=extra)


def _log_ignored(said: Any) -> None:
    """An exception without a receiver: of a destructor, or a callback."""
    error = said.exc_value
    extra = {"error": repr(error), "where": said.err_msg or repr(said.object)[:200]}
    traceback = (said.exc_type, error, said.exc_traceback) if error else None
    log.warning("process.error_ignored", exc_info=traceback, extra=extra)


def _event(record: logging.LogRecord) -> str:
    """What happened. Below their first line, messages of Celery quote the task at hand, and so the text of an item."""
    message = str(getattr(record, "event", None) or record.getMessage())
    return message if record.name.partition(".")[0] in _OURS else message.strip().partition("\n")[0]


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in record.__dict__.items() if key not in _STANDARD}


def _indented(traceback: str) -> str:
    """Lines that no line of the log looks like, whatever the message of the exception holds."""
    return "\n".join(f"    {_one_line(line)}" for line in traceback.splitlines())


def _one_line(text: str) -> str:
    return text if text.isprintable() else json.dumps(text)
