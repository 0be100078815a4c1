"""The wheel beside a project whose own packages have the names that everybody takes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from celery_recommender.broker.redis.embedded import EmbeddedServer
from celery_recommender.settings import PREFIX, Settings
from tests.support.processes import ROOT, WorkerProcess
from tests.support.servers import KINDS, make_server, running
from tests.support.waiting import wait_until

pytestmark = pytest.mark.server

OWN_PACKAGES = ("workers", "recommender", "tests", "items", "pipeline")
TASKS = """
from celery import Celery

from celery_recommender import attach
from celery_recommender.broker.redis.connections import celery_url
from celery_recommender.settings import Settings
from recommender_engine.testing import DeterministicEncoders
import recommender, tests, workers  # the project's own

settings = Settings.from_environment()
app = Celery("shop", broker=celery_url(settings.redis_url), backend=celery_url(settings.redis_url))
attach(app, settings, DeterministicEncoders())
assert {recommender.MINE, tests.MINE, workers.MINE} == {"recommender", "tests", "workers"}
"""
PRODUCE = """
import json
from tasks import app

ingest = app.tasks["recommender.ingest"]
texts = {"a": "the printer is on fire", "b": "the printer is on fire"}
print(json.dumps([ingest.delay({"id": id, "text": text}).get(timeout=60)["band"] for id, text in texts.items()]))
"""
HEAVY = ("hnswlib", "lxml", "numpy", "rapidfuzz", "sklearn", "sqlite3", "torch")
IMPORTED = f"""
import sys
from celery import Celery
before = set(sys.modules)
from celery_recommender import Client, attach
app = Celery("shop", broker="memory://")
attach(app)
app.finalize()
new = set(sys.modules) - before
print(*sorted(name for name in new if name in {HEAVY} or name.startswith("recommender_engine.pipeline")))
print(sum(name.startswith(("celery_recommender", "recommender_engine")) for name in new))
"""


@dataclass
class Project:
    """A user's project with the wheel installed.

    Attributes:
        directory: where its packages are.
        site: where the wheel is installed.
    """

    directory: Path
    site: Path

    @property
    def path(self) -> str:
        return os.pathsep.join((str(self.site), str(self.directory)))

    def run(self, *arguments: str, settings: Settings | None = None) -> str:
        """The output of Python with these arguments."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        environment |= {"PYTHONPATH": self.path} | (settings.to_environment() if settings else {})
        done = subprocess.run(
            [sys.executable, *arguments], cwd=self.directory, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    directory, wheels, site = (tmp_path_factory.mktemp(name) for name in ("project", "wheels", "site"))
    for command in (
        ("hatchling", "build", "--target", "wheel", "--directory", str(wheels)),
        ("pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site), "--find-links", str(wheels)),
    ):
        extra = ("celery-recommender",) if command[0] == "pip" else ()
        subprocess.run([sys.executable, "-m", *command, *extra], cwd=ROOT, check=True, capture_output=True)
    for name in OWN_PACKAGES:
        (directory / name).mkdir()
        (directory / name / "__init__.py").write_text(f"MINE = {name!r}\n")
    (directory / "tasks.py").write_text(TASKS)
    return Project(directory, site)


def test_the_wheel_claims_two_names(project: Project) -> None:
    assert {path.name for path in project.site.iterdir() if path.is_dir() and not path.name.endswith("info")} <= {
        "bin",
        "celery_recommender",
        "recommender_engine",
    }


def test_a_producer_loads_no_engine(project: Project) -> None:
    heavy, ours = project.run("-c", IMPORTED).splitlines()
    assert heavy == ""
    assert int(ours) < 90


def test_help_imports_no_command(project: Project) -> None:
    assert "calibrate" in project.run("-m", "celery_recommender", "--help")
    loaded = project.run(
        "-c",
        "import sys\nfrom celery_recommender.cli.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print('loaded', *sorted({'redis', 'pydantic', 'celery', 'numpy', 'rich'} & set(sys.modules)))",
    )
    assert loaded.splitlines()[-1] == "loaded"


TICKETS = (
    "number,subject,body\n"
    "T-1,Printer on fire,The printer in room 12 is on fire\n"
    "T-2,Printer on fire,The printer in room 12 is on fire\n"
    "T-3,Password,I cannot log in any more since Monday\n"
)


@pytest.mark.model
@pytest.mark.timeout(240)
def test_one_command_leads_from_a_file_to_the_page_on_its_duplicates(project: Project, tmp_path: Path) -> None:
    """An empty directory, the wheel, the real model; a server and a page of its own, which end with it."""
    (tmp_path / "tickets.csv").write_text(TICKETS)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    environment |= {"PYTHONPATH": project.path, "RECOMMENDER_ENCODER": "torch-float32", "RECOMMENDER_WEB_PORT": "0"}
    command = [
        sys.executable,
        "-m",
        "celery_recommender",
        "init",
        "--file",
        "tickets.csv",
        "--yes",
        "--serve",
        "--json",
    ]
    with (tmp_path / "said").open("w") as said, (tmp_path / "told").open("w") as told:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=told
        )
    try:
        wait_until(lambda: "open http" in (tmp_path / "told").read_text() or process.poll() is not None, "a page", 180)
        assert process.poll() is None, (tmp_path / "told").read_text()
        report = json.loads((tmp_path / "said").read_text())
        page = httpx.get(report["page"], timeout=60)
        assert page.status_code == 200
        assert re.search(r"T-2\b", page.text)
        assert "T-3" not in page.text
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(90)
    assert code == 0, (tmp_path / "told").read_text()
    server = EmbeddedServer(tmp_path / ".recommender" / "redis")
    wait_until(lambda: not server.is_running(), "the server to end")
    with pytest.raises(httpx.ConnectError, match="refused"):
        httpx.get(report["page"])


@pytest.fixture(params=KINDS[:1])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    with running(make_server(request.param, tmp_path / "server")) as server:
        yield Settings(redis_url=server.url, state_dir=tmp_path / "state")


def test_producer_owner_and_command_line_beside_packages_of_these_names(
    project: Project, settings: Settings, tmp_path: Path
) -> None:
    owner = WorkerProcess(
        "tasks",
        settings,
        tmp_path / "owner.log",
        ["--recommender", "default", "--pool", "threads"],
        directory=project.directory,
        environment={"PYTHONPATH": project.path},
    )
    with owner.running():
        assert json.loads(project.run("-c", PRODUCE, settings=settings)) == ["new", "duplicate"]
        stats = json.loads(project.run("-m", "celery_recommender", "stats", "--json", settings=settings))
        assert stats["collections"]["default"]["items"] == 2
        assert owner.terminate() == 0
