"""SIGTERM ends every command within seconds, in every phase, also where nothing but the kernel is above it (PID 1)."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import pairwise
from pathlib import Path

import pytest

from celery_recommender.broker.events.outcomes import is_outcome
from celery_recommender.client import Client
from celery_recommender.ending import ENDED_BY_SIGTERM, INTERRUPTED
from celery_recommender.settings import Settings
from recommender_engine.items import START
from recommender_engine.opening import open_recommender
from tests.support.command_line import command, environment, run
from tests.support.encoders import FixedEncoders
from tests.support.listeners import listening, says_nothing
from tests.support.servers import RedisServer, free_port, running
from tests.support.waiting import wait_until

WITHIN_S = 30.0  # a busy machine takes its time; what these tests are about took a minute and more
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
            preexec_fn=_listens_to_interrupts,
        )
    try:
        yield First(above, log)
    finally:
        above.kill()
        above.wait()


def _listens_to_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # what runs in the background ignores it


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

    def has_open(self, name: str) -> bool:
        with suppress(OSError):
            if pid := self.pid():
                return any(name in str(one.readlink()) for one in Path(f"/proc/{pid}/fd").iterdir())
        return False

    def has_children(self) -> bool:
        return bool(pid := self.pid()) and bool(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def ends(self, *signals: signal.Signals) -> int:
        for number in signals or (signal.SIGTERM,):
            with suppress(ProcessLookupError):  # the first one was enough
                os.kill(self.pid(), number)
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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_a_worker_ends_while_it_waits_for_its_server(number: signal.Signals, tmp_path: Path) -> None:
    """And its log is one for machines from the first line to the last, whatever it is asked by signals."""
    url = f"redis://127.0.0.1:{free_port()}/0"
    settings = Settings(redis_url=url, state_dir=tmp_path / "state", log_format="json")
    with first_process(["worker"], settings, tmp_path / "log") as process:
        wait_until(lambda: "server_away" in process.said(), "the server to be missed", 60)
        wait_until(lambda: "Cannot connect" in process.said(), "Celery to miss it", 60)
        os.kill(process.pid(), signal.SIGUSR1)
        wait_until(lambda: "worker.threads" in process.said(), "the threads to be told", 30)
        assert process.ends(number) == 0, process.said()
        lines = [json.loads(line) for line in process.said().splitlines()]
        assert any("MainThread" in line.get("stacks", "") for line in lines)


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
        settings = Settings(
            redis_url=server.url,
            state_dir=tmp_path / "state",
            log_format="json",
            batch_items=1,
            encoder="torch-float32",
        )
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


LATER: dict[str, tuple[tuple[str, ...], Callable[[First], bool]]] = {
    "pairs loads its model": (("pairs", "many.csv"), lambda process: process.has_mapped("libtorch_cpu")),
    "evaluate loads its model": (
        ("evaluate", "pairs", "labelled.csv"),
        lambda process: process.has_mapped("libtorch_cpu"),
    ),
    "backup copies": (("backup", "backups"), lambda process: process.has_open("state.sqlite3")),
    "verify reads": (("verify", "one"), lambda process: process.has_open("state.sqlite3")),
    "restore copies": (("restore", "one", "--force"), lambda process: process.has_open("state.sqlite3")),
    "enrich waits": (("enrich", "few.csv", "out.csv"), lambda process: "waiting for one" in process.said()),
    "demo has a worker": (("demo",), lambda process: process.has_children()),
    "bench has a worker": (("bench", "--quick"), lambda process: process.has_children()),
}
TERM, INT = signal.SIGTERM, signal.SIGINT
HOW = {
    "told": ((TERM,), ENDED_BY_SIGTERM),
    "told twice": ((TERM, TERM), ENDED_BY_SIGTERM),
    "interrupted": ((INT,), INTERRUPTED),
    "interrupted twice": ((INT, INT), INTERRUPTED),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files, and a state that takes a while to be copied."""
    folder = tmp_path_factory.mktemp("folder")
    texts = [f"a kettle of {number} litres with a lid of steel and a handle of wood" for number in range(20_000)]
    (folder / "many.csv").write_text("id,text\n" + "".join(f"{n},{text}\n" for n, text in enumerate(texts)))
    (folder / "few.csv").write_text("id,text\n1,a kettle\n")
    rows = "".join(f"{one},{other},{n % 2}\n" for n, (one, other) in enumerate(pairwise(texts)))
    (folder / "labelled.csv").write_text("text1,text2,label\n" + rows)
    settings = Settings(state_dir=folder / "state")
    open_recommender(settings.partition_dir, FixedEncoders(), partition="default").close()
    with closing(sqlite3.connect(settings.partition_dir / "state.sqlite3")) as database, database:
        fillers = ((f"filler {number}", "x" * 1_000_000) for number in range(300))
        database.executemany("INSERT INTO meta (key, value) VALUES (?, ?)", fillers)
    done = run(settings, "backup", str(folder / "whole"))
    assert done.returncode == 0, done.stderr
    next((folder / "whole").iterdir()).rename(folder / "one")
    return folder


@pytest.mark.model
@pytest.mark.server
@pytest.mark.parametrize(
    ("phase", "how"), [(phase, how) for place, phase in enumerate(LATER) for how in list(HOW)[place % 2 :: 2]]
)
def test_every_command_ends_in_later_phases(
    phase: str, how: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, there = LATER[phase]
    signals, code = HOW[how]
    monkeypatch.chdir(folder)
    (folder / "backups").mkdir(exist_ok=True)
    with ExitStack() as stack:
        url = stack.enter_context(running(RedisServer(tmp_path / "server"))).url if "enrich" in phase else ""
        process = stack.enter_context(
            first_process(arguments, Settings(state_dir=folder / "state", redis_url=url), tmp_path / "log")
        )
        wait_until(lambda: there(process) or process.above.poll() is not None, phase, 90)
        assert process.above.poll() is None, process.said()
        assert process.ends(*signals) == code, process.said()
        assert "Traceback" not in process.said()
    assert not list((folder / "backups").glob("[!.]*"))
    assert (folder / "state" / "state" / "default" / "state.sqlite3").exists()


@pytest.mark.parametrize(("signals", "code"), HOW.values(), ids=HOW)
def test_a_computation_that_does_not_listen_is_ended_all_the_same(
    signals: tuple[signal.Signals, ...], code: int, tmp_path: Path
) -> None:
    """A handler of Python's does not run while a library computes, or where somebody catches everything."""
    program = (
        "from celery_recommender.ending import end_when_told\nend_when_told()\n"
        "import ctypes\nwhile True:\n"
        "    try: print('begun', flush=True); ctypes.CDLL(None).sleep(60)\n    except BaseException: pass\n"
    )
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command()[:1], "-c", program],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            preexec_fn=_listens_to_interrupts,
        )
    try:
        wait_until(lambda: "begun" in log.read_text(), "it to begin")
        for number in signals:
            process.send_signal(number)
        assert process.wait(WITHIN_S) == code
    finally:
        process.kill()
        process.wait()
