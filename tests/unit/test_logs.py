from __future__ import annotations

import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator

import pytest

from celery_recommender.logs import begin_logs, configure_logs
from celery_recommender.settings import Settings
from recommender_engine.event_log import EventLog, event_log

LOGGERS = (
    "",
    "py.warnings",
    "recommender_engine",
    "celery_recommender",
    "celery.worker",
    "celery.worker.strategy",
    "celery.app.trace",
)
FORGED = "x\n12:00:00 critical owner.failed\r\u2028\x85\x1b[2J"


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(logger, logger.level, logger.handlers[:]) for logger in loggers]
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    yield stream
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(False)
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.fixture
def log(output: io.StringIO) -> EventLog:
    configure_logs(Settings(log_format="text"))
    return event_log("celery_recommender.test")


@pytest.fixture
def json_log(output: io.StringIO) -> EventLog:
    configure_logs(Settings(log_format="json"))
    return event_log("celery_recommender.test")


def test_a_line_names_the_event_and_its_keys(log: EventLog, output: io.StringIO) -> None:
    log.warning("intake.server_away", extra={"attempts": 3, "server": "", "error": "no route", "where": "a=b"})
    time, level, event, rest = output.getvalue().split(maxsplit=3)
    assert len(time.split(":")) == 3
    assert (level, event) == ("warning", "intake.server_away")
    assert rest == 'attempts=3 server="" error="no route" where="a=b"\n'


@pytest.mark.parametrize("message", ["event", FORGED])
def test_nothing_said_can_begin_a_line(log: EventLog, output: io.StringIO, message: str) -> None:
    log.error(message, extra={"item": FORGED})
    written = output.getvalue()
    assert written.endswith("\n")
    assert written[:-1].isprintable()
    assert len(written.splitlines()) == 1


def test_a_traceback_follows_its_line(log: EventLog, output: io.StringIO) -> None:
    try:
        raise ValueError("wrong")
    except ValueError:
        log.exception("owner.failed")
    first, second, *_, last = output.getvalue().splitlines()
    assert first.endswith("owner.failed")
    assert second == "    Traceback (most recent call last):"
    assert last == "    ValueError: wrong"


@pytest.mark.parametrize("said", [FORGED, 'x"\n12:00:00 critical owner.failed error="\ud800'])
def test_no_exception_can_forge_a_line(log: EventLog, output: io.StringIO, said: str) -> None:
    try:
        raise ValueError(said)
    except ValueError:
        log.exception("owner.failed", extra={"error": said})
    first, *others = output.getvalue().split("\n")
    assert " error   owner.failed error=" in first
    assert others.pop() == ""
    assert all(line.startswith("    ") and line.isprintable() for line in others)


TASK = "Received unregistered task of type 'shop.task'.\nThe full contents of the message body was:\n'a secret text'"


@pytest.fixture(params=["text", "json"])
def any_log(output: io.StringIO, request: pytest.FixtureRequest) -> None:
    configure_logs(Settings(log_format=request.param))


@pytest.mark.usefixtures("any_log")
def test_what_celery_quotes_of_a_task_is_left_out(output: io.StringIO) -> None:
    logging.getLogger("celery.worker.consumer.consumer").error(TASK)
    assert "Received unregistered task of type 'shop.task'." in output.getvalue()
    assert "secret" not in output.getvalue()


def test_a_formatter_that_knows_no_keys_shows_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    """In a Celery app of a user's, whose format is their own."""
    event_log("celery_recommender.test").warning("delivery.retry", extra={"error": "100 % full: a=b", "attempts": 3})
    assert caplog.messages == ['delivery.retry error="100 % full: a=b" attempts=3']
    record = caplog.records[0]
    assert (record.event, record.attempts) == ("delivery.retry", 3)  # type: ignore[attr-defined]


@pytest.mark.usefixtures("any_log")
def test_warnings_and_what_ends_a_thread_are_lines_of_the_log(output: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        logging.captureWarnings(True)
        warnings.warn("two\nlines", UserWarning, stacklevel=1)
    thread = threading.Thread(target=lambda: 1 / 0, name="doomed")
    thread.start()
    thread.join()
    sys.excepthook(ValueError, ValueError("a\nb"), None)
    lines = output.getvalue().splitlines()
    assert all(line.startswith(("{", "    ")) or line[2] == ":" for line in lines)
    assert sum("process.failed" in line for line in lines) == 2
    assert any("doomed" in line for line in lines)


def test_the_format_is_known_before_the_settings_are(output: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECOMMENDER_LOG_FORMAT", ' "JSON" ')
    monkeypatch.setenv("RECOMMENDER_PARTITION", "..")
    monkeypatch.setattr(sys, "stderr", output)  # pytest has put its own there since
    begin_logs()
    event_log("celery_recommender.test").error("worker.failed", extra={"error": "x"})
    assert json.loads(output.getvalue())["event"] == "worker.failed"


def test_json_is_one_object_a_line(json_log: EventLog, output: io.StringIO) -> None:
    json_log.warning("some %s", "event", extra={"item": FORGED, "count": 3, "path": Settings().state_dir})
    try:
        raise ValueError(FORGED)
    except ValueError:
        json_log.exception("owner.failed")
    first, second = map(json.loads, output.getvalue().splitlines())
    assert first.pop("time")
    assert first == {
        "level": "warning",
        "logger": "celery_recommender.test",
        "event": "some event",
        "item": FORGED,
        "count": 3,
        "path": ".recommender",
    }
    assert "ValueError: x\n12:00:00" in second["traceback"]


def test_nothing_said_changes_another_field(json_log: EventLog, output: io.StringIO) -> None:
    json_log.error('owner.failed", "level": "info', extra={"item": '", "event": "all.is.well'})
    (said,) = map(json.loads, output.getvalue().splitlines())
    assert (said["level"], said["event"]) == ("error", 'owner.failed", "level": "info')
    assert said["item"] == '", "event": "all.is.well'
    assert output.getvalue()[:-1].isascii()
    assert output.getvalue()[:-1].isprintable()


@pytest.fixture
def errors_only(output: io.StringIO) -> None:
    configure_logs(Settings(log_level="ERROR"))


@pytest.mark.usefixtures("errors_only")
def test_the_level_is_that_of_our_own_loggers(output: io.StringIO) -> None:
    for name in ("celery_recommender.test", "recommender_engine.test", "elsewhere"):
        logging.getLogger(name).info("unheard")
    event_log("celery_recommender.test").warning("unheard")
    logging.getLogger("elsewhere").warning("heard")
    logging.getLogger("recommender_engine.test").error("heard")
    assert len(output.getvalue().splitlines()) == 2


@pytest.fixture(params=["INFO", "DEBUG"])
def level(output: io.StringIO, request: pytest.FixtureRequest) -> str:
    configure_logs(Settings(log_level=request.param))
    return str(request.param)


def test_a_question_is_no_line_unless_everything_is(output: io.StringIO, level: str) -> None:
    logging.getLogger("celery.worker.strategy").info("Task recommender.get[1] received")
    logging.getLogger("celery.worker.consumer.connection").info("Connected")
    assert output.getvalue().count("received") == (level == "DEBUG")
    assert "Connected" in output.getvalue()


def test_an_error_without_a_receiver_is_a_line_of_the_log(json_log: EventLog, output: io.StringIO) -> None:
    class Failing:
        def __del__(self) -> None:
            raise ValueError("in a destructor")

    Failing()
    (line,) = [json.loads(one) for one in output.getvalue().splitlines()]
    assert line["event"] == "process.error_ignored"
    assert "in a destructor" in line["error"]
    assert "__del__" in line["where"] + line["traceback"]
