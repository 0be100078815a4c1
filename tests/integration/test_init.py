"""A file becomes a collection, settings and a remembered name, over a real worker."""

from __future__ import annotations

import json
import os
import pty
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from celery_recommender.cli.input.agreeing import agreed
from celery_recommender.cli.input.checkpoint import Checkpoint, file_identity
from celery_recommender.cli.input.mapping_options import FileOptions
from celery_recommender.cli.remembered import remember, remembered
from celery_recommender.cli.run.together import keep_running, page_at_work, program
from celery_recommender.client import Client
from celery_recommender.records import MappingOptions
from celery_recommender.sandbox import ProcessFailed
from celery_recommender.settings import SETTINGS_FILE, Settings
from tests.integration.conftest import Run
from tests.support.command_line import command, environment
from tests.support.processes import OwnerProcess
from tests.support.servers import make_server, running

pytestmark = pytest.mark.server

ROWS = (
    "number,headline,subject,body,created_at\n"
    "T-1,x,Printer on fire,The printer in room 12 is on fire,2026-03-01 07:00\n"
    "T-2,y,Printer on fire,The printer in room 12 is on fire,2026-03-02 07:00\n"
    "T-3,z,Password,I cannot log in any more,2026-03-03 07:00\n"
)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of a person, with a file in it."""
    place = tmp_path / "mine"
    place.mkdir()
    (place / "march tickets.csv").write_text(ROWS)
    monkeypatch.chdir(place)
    return place


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A server and a worker for all tests; each has a state directory of its own."""
    folder = tmp_path_factory.mktemp("shared")
    with running(make_server("embedded", folder / "server")) as server:
        settings = Settings(redis_url=server.url, state_dir=folder / "state", encoder="torch-float32")
        with OwnerProcess(settings, folder / "owner.log") as owner:
            owner.running()
            yield settings


@pytest.fixture
def settings(shared: Settings, tmp_path: Path) -> Settings:
    (tmp_path / "state").mkdir()
    return shared.replaced(state_dir=tmp_path / "state")


def of(recommender: Run, collection: str, item_id: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(recommender("get", item_id, "--collection", collection, "--json").stdout)
    return found


@pytest.mark.usefixtures("directory")
def test_a_file_is_sent_without_questions_and_its_collection_is_remembered(
    recommender: Run, settings: Settings
) -> None:
    done = recommender("init", "--file", "march tickets.csv", "--yes", "--json")
    report = json.loads(done.stdout)
    assert report["columns"] == {"id": "number", "text": ["subject", "body"], "time": "created_at", "attributes": []}
    assert (report["collection"], report["sent"], report["decided"], report["failed"]) == ("march-tickets", 3, True, 0)
    assert report["bands"]["duplicate"] == 1
    assert len(report["next"]) == 3
    assert "page" not in report
    assert "row 1: T-1  Printer on fire" in done.stderr
    assert of(recommender, "march-tickets", "T-2")["duplicate_of"] == "T-1"

    assert SETTINGS_FILE.stat().st_mode & 0o777 == 0o600
    assert f"RECOMMENDER_REDIS_URL={settings.redis_url}\n" in SETTINGS_FILE.read_text()
    listed = recommender("list", "--band", "duplicate", "--json")
    assert [one["id"] for one in json.loads(listed.stdout)["items"]] == ["T-2"]
    assert "collection 'march-tickets', the last one named" in listed.stderr
    checks = {one["check"]: one for one in json.loads(recommender("doctor", "--json").stdout)}
    assert checks["collection"]["found"].startswith("'march-tickets'")
    assert checks["settings file"]["found"].startswith(str(SETTINGS_FILE.absolute()))


@pytest.mark.usefixtures("directory")
def test_a_file_that_is_sent_again_changes_no_verdict(recommender: Run, settings: Settings) -> None:
    given = ("init", "--file", "march tickets.csv", "--collection", "again", "--yes", "--json")
    first = json.loads(recommender(*given).stdout)
    before = of(recommender, "again", "T-2")
    again = recommender(*given)
    assert (first["sent"], json.loads(again.stdout)["sent"]) == (3, 3)
    assert "going on after" not in again.stderr
    after = of(recommender, "again", "T-2")
    assert after == before | {"revision": after["revision"]}

    options = agreed(given[2], FileOptions(mapping=MappingOptions(collection="again"), yes=True), asking=False)
    identity = file_identity(given[2], "init", options.identity, settings.home)
    Checkpoint(settings.state_dir / "sent", identity, restart=False).advance(2, 2, None)
    rest = recommender(*given)
    assert json.loads(rest.stdout)["sent"] == 1
    assert "going on after row 2\n" in rest.stderr, "init has no --restart"


@pytest.mark.usefixtures("directory")
def test_a_name_is_remembered_after_success_and_a_wrong_one_is_answered(
    recommender: Run, settings: Settings, client: Client
) -> None:
    client.outcome(client.ingest({"id": "T-1", "collection": "a b", "text": "The printer is on fire"}))
    for arguments in (("get", "T-1"), ("group", "T-1"), ("recommend", "--item", "T-1"), ("feedback", "wrong", "T-1")):
        done = recommender(*arguments, "--collection", "other", status=1)
        assert "collection 'a b' has 'T-1': say --collection 'a b'" in done.stderr, arguments
    assert "has 'T-9'" not in recommender("get", "T-9", "--collection", "other", status=1).stderr
    assert remembered(settings) is None
    recommender("get", "T-1", "--collection", "a b")
    assert remembered(settings) == "a b"
    assert json.loads(recommender("get", "T-1", "--json").stdout)["text"] == "The printer is on fire"
    recommender("get", "T-1", "--collection", "default", status=1)
    assert remembered(settings) == "a b"


def test_at_a_terminal_columns_are_corrected_before_anything_is_sent(
    recommender: Run, settings: Settings, directory: Path
) -> None:
    answers = iter(
        (
            ("File with your items", "nothing.csv"),
            ("File with your items", "march tickets.csv"),
            ("Enter sends the rows", "text=nothing"),
            ("Enter sends the rows", "colour=blue"),
            ("Enter sends the rows", "text=body"),
            ("Enter sends the rows", "attributes=headline"),
            ("Enter sends the rows", "collection=complaints"),
            ("Enter sends the rows", ""),
        )
    )
    shown = _answered(settings, directory, [*answers], "init", "--no-serve")
    for told in (
        "there is no file 'nothing.csv'",
        "no column 'nothing'",
        "what is 'colour=blue'?",
        "recommender review",
    ):
        assert told in shown
    assert remembered(settings) == "complaints"
    found = of(recommender, "complaints", "T-2")
    assert (found["text"], found["attributes"]) == ("The printer in room 12 is on fire", {"headline": "y"})


def _answered(settings: Settings, directory: Path, answers: list[tuple[str, str]], *arguments: str) -> str:
    """Type a line at each prompt; what the terminal shows until the command ends."""
    ours, theirs = pty.openpty()
    variables = {**environment(settings), "TERM": "xterm-256color"}
    process = subprocess.Popen(
        command(*arguments), cwd=directory, stdin=theirs, stdout=theirs, stderr=theirs, env=variables
    )
    os.close(theirs)
    shown, place = b"", 0
    with suppress(OSError):  # the other side is closed when the command has ended
        while part := os.read(ours, 65536):
            shown += part
            while answers and (found := shown.find(answers[0][0].encode(), place)) >= 0:
                place = found + 1
                os.write(ours, f"{answers.pop(0)[1]}\n".encode())
    os.close(ours)
    assert process.wait(30) == 0, shown.decode()
    assert answers == []
    return shown.decode()


@pytest.mark.usefixtures("directory")
def test_a_server_is_written_down_and_the_first_command_told(recommender: Run, settings: Settings) -> None:
    done = recommender("init", "--redis-url", settings.redis_url, "--json")
    report = json.loads(done.stdout)
    assert report["file"] is None
    assert "XADD recommender:default:commands '*' data" in report["next"][0]
    assert "--file names your items" in recommender("init", status=2).stderr
    Path("empty.csv").write_text("id,text\n")
    assert "empty.csv has no rows; nothing has been sent" in recommender("init", "--file", "empty.csv", status=1).stderr
    refused = recommender("init", "--redis-url", "redis://127.0.0.1:1/0", status=1)
    assert "127.0.0.1:1" in refused.stderr
    assert f"RECOMMENDER_REDIS_URL={settings.redis_url}\n" in SETTINGS_FILE.read_text()


def test_a_page_takes_a_free_port_and_is_missed_when_it_ends(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with page_at_work(settings.replaced(web_port=port)) as (page, address):
            assert address != f"http://127.0.0.1:{port}"
            page.process.kill()
            page.process.wait(30)
            with pytest.raises(ProcessFailed, match=r"the page has ended: .*web\.listening"):
                keep_running([page])


def test_what_cannot_be_remembered_is_forgotten(settings: Settings) -> None:
    absent = settings.replaced(state_dir=settings.state_dir / "absent")
    remember(absent, "tickets")
    assert remembered(absent) is None
    assert not absent.state_dir.exists()
    (settings.state_dir / "collection").write_bytes(b"\xff\n")
    assert remembered(settings) is None
    (settings.state_dir / "collection").write_text("a\x1b[2J\n")
    assert remembered(settings) is None
    assert program()
