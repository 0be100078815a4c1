"""SIGTERM ends every command within seconds, in every phase, also where nothing but the kernel is above it (PID 1)."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from recommender.items import START
from tests.support.command_line import command, environment
from tests.support.listeners import listening, says_nothing
from tests.support.servers import RedisServer, free_port, running
from tests.support.waiting import wait_until
from workers.client import Client, is_outcome
from workers.ending import ENDED_BY_SIGTERM
from workers.settings import Settings

WITHIN_S = 10.0
PID_1 = ("unshare", "--fork", "--pid", "--kill-child")


@contextmanager
def first_process(arguments: Sequence[str], settings: Settings, log: Path) -> Iterator[First]:
    """A command as the first process of a PID namespace; the test is skipped where none may be made."""
    if shutil.which("unshare") is None or subprocess.run([*PID_1, "true"], check=False).returncode:
        pytest.skip("needs the right to make PID namespaces")
    with log.open("wb") as output:
        above = subprocess.Popen(
            [*PID_1, *command(*arguments)],
            env=environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield First(above, log)
    finally:
        above.kill()
        above.wait()


class First:
    """A process whose namespace it is the first of."""

    def __init__(self, above: subprocess.Popen[bytes], log: Path) -> None:
        self.above = above
        self.log = log

    def pid(self) -> int:
        found = Path(f"/proc/{self.above.pid}/task/{self.above.pid}/children").read_text().split()
        return int(found[0]) if found else 0

    def listens(self) -> bool:
        """Whether it has a handler for SIGTERM: what its status calls caught."""
        if not (pid := self.pid()):
            return False
        caught = next(
            line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt")
        )
        return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)

    def has_mapped(self, name: str) -> bool:
        return bool(pid := self.pid()) and name in Path(f"/proc/{pid}/maps").read_text()

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def ends(self) -> int:
        os.kill(self.pid(), signal.SIGTERM)
        return self.above.wait(WITHIN_S)


PHASES: dict[str, Callable[[First], bool]] = {
    "its first moment": lambda process: True,
    "imports": lambda process: process.has_mapped("pydantic_core"),
    "Celery": lambda process: process.has_mapped("sqlite3"),
}


@pytest.mark.parametrize("phase", PHASES)
def test_a_worker_ends_while_it_starts(phase: str, tmp_path: Path) -> None:
    settings = Settings(redis_url=f"redis://127.0.0.1:{free_port()}/0", state_dir=tmp_path / "state")
    with first_process(["worker"], settings, tmp_path / "log") as process:
        wait_until(process.listens, "a handler for SIGTERM", 30)
        wait_until(lambda: PHASES[phase](process), phase, 60)
        assert process.ends() in (0, ENDED_BY_SIGTERM), process.said()


def test_an_embed_worker_ends_while_it_loads_its_model(tmp_path: Path) -> None:
    settings = Settings(redis_url=f"redis://127.0.0.1:{free_port()}/0", state_dir=tmp_path / "state")
    with first_process(["embed-worker"], settings, tmp_path / "log") as process:
        wait_until(lambda: process.has_mapped("libtorch_cpu"), "the model's library", 60)
        assert process.ends() == ENDED_BY_SIGTERM, process.said()


def test_a_worker_ends_while_it_waits_for_its_server(tmp_path: Path) -> None:
    """And its log is one for machines from the first line to the last."""
    url = f"redis://127.0.0.1:{free_port()}/0"
    settings = Settings(redis_url=url, state_dir=tmp_path / "state", log_format="json")
    with first_process(["worker"], settings, tmp_path / "log") as process:
        wait_until(lambda: "server_away" in process.said(), "the server to be missed", 60)
        assert process.ends() == 0, process.said()
        events = [json.loads(line)["event"] for line in process.said().splitlines()]
        assert "worker.stopping" in events


def test_a_worker_ends_while_its_server_says_nothing(tmp_path: Path) -> None:
    """From the first moment on."""
    with listening(says_nothing) as port:
        settings = Settings(redis_url=f"redis://127.0.0.1:{port}/0", state_dir=tmp_path / "state", log_format="json")
        with first_process(["worker"], settings, tmp_path / "log") as process:
            wait_until(lambda: "server.away" in process.said(), "the server to be missed", 60)
            wait_until(lambda: "celery.worker" in process.said(), "Celery to miss it", 60)
            assert process.ends() == 0, process.said()


@pytest.mark.model
@pytest.mark.server
def test_a_worker_ends_when_its_server_stops_answering_and_loses_nothing(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "server")
    with running(server):
        settings = Settings(redis_url=server.url, state_dir=tmp_path / "state", log_format="json", batch_items=1)
        with closing(Client(settings)) as client:
            with first_process(["worker"], settings, tmp_path / "log") as process:
                wait_until(lambda: "owner.ready" in process.said(), "the owner", 120)
                placed = client.ingest_many({"id": str(n), "text": f"a kettle of {n} litres"} for n in range(40))
                wait_until(lambda: client.redis.xlen(client.keys.events) > 2, "the first events", 60)
                server.signal(signal.SIGSTOP)
                try:
                    assert process.ends() == 0, process.said()
                finally:
                    server.signal(signal.SIGCONT)
            with first_process(["worker"], settings, tmp_path / "log2"):
                client.outcome(placed[-1], timeout_s=120)
            decided = [event["data"]["command"]["id"] for event in client.events_so_far(START) if is_outcome(event)]
            assert decided == [str(one) for one in placed]


@pytest.mark.parametrize(
    "arguments",
    [
        ("embed-worker",),
        ("watch",),
        ("ingest", "items.csv", "--text-field", "text"),
        ("enrich", "items.csv", "out.csv", "--text-field", "text"),
        ("pairs", "items.csv", "out.csv", "--text-field", "text"),
        ("bench", "--quick"),
        ("demo",),
        ("backup", "backups"),
        ("restore", "backups"),
        ("move", "tickets", "--to", "b"),
        ("doctor",),
    ],
    ids=lambda arguments: arguments[0],
)
def test_every_command_ends_as_the_first_process(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At its first moment, when nothing of it has been imported."""
    monkeypatch.chdir(tmp_path)
    Path("items.csv").write_text("id,text\n1,a kettle\n")
    settings = Settings(redis_url=f"redis://127.0.0.1:{free_port()}/0", state_dir=tmp_path / "state")
    with first_process(arguments, settings, tmp_path / "log") as process:
        wait_until(process.listens, "a handler for SIGTERM", 30)
        assert process.ends() == ENDED_BY_SIGTERM, process.said()


def test_a_computation_that_does_not_listen_is_ended_all_the_same(tmp_path: Path) -> None:
    """A handler of Python's does not run while a library computes, or where somebody catches everything."""
    program = (
        "from workers.ending import end_on_sigterm\nend_on_sigterm()\nimport ctypes\nprint('begun', flush=True)\n"
        "while True:\n    try: ctypes.CDLL(None).sleep(60)\n    except BaseException: pass\n"
    )
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command()[:1], "-c", program], env=environment(), stdin=subprocess.DEVNULL, stdout=output
        )
    try:
        wait_until(lambda: "begun" in log.read_text(), "it to begin")
        process.send_signal(signal.SIGTERM)
        assert process.wait(WITHIN_S) == ENDED_BY_SIGTERM
    finally:
        process.kill()
        process.wait()
