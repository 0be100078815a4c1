"""RabbitMQ on a free port of this machine, to be killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

from kombu import Connection

from tests.support.servers import free_port
from tests.support.waiting import wait_until

_START_TIMEOUT_S = 120.0
_EPMD_PORT = "4399"  # not the usual one: others may use it


class RabbitMq:
    """A broker of its own, its files in ``directory``.

    Args:
        directory: where they go.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._port, self._distribution_port = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def available() -> bool:
        """Whether the program is installed."""
        return shutil.which("rabbitmq-server") is not None

    @property
    def url(self) -> str:
        """For Celery."""
        return f"amqp://guest:guest@127.0.0.1:{self._port}//"

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        self._directory.mkdir(parents=True, exist_ok=True)
        plugins = self._directory / "enabled_plugins"
        plugins.write_text("[].\n")
        environment = {
            **os.environ,
            "HOME": str(self._directory),
            "RABBITMQ_NODENAME": "kills@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_MNESIA_BASE": str(self._directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self._directory),
            "RABBITMQ_PID_FILE": str(self._directory / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
            "RABBITMQ_CONFIG_FILE": str(self._directory / "none"),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": _EPMD_PORT,
        }
        # The program that Debian puts in the path runs as another user; this is what it calls.
        program = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
        with (self._directory / "output.log").open("ab") as output:
            self._process = subprocess.Popen(
                [str(program) if program.exists() else "rabbitmq-server"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(self._answers, "RabbitMQ to answer", _START_TIMEOUT_S)

    def kill(self) -> None:
        """SIGKILL, for the whole of it."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def stop(self) -> None:
        """SIGKILL: its files are not needed any more."""
        self.kill()
        subprocess.run(["epmd", "-port", _EPMD_PORT, "-kill"], capture_output=True, check=False)

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"RabbitMQ ended: {(self._directory / 'output.log').read_text()[-500:]}")
        try:
            with Connection(self.url, connect_timeout=2) as connection:
                connection.ensure_connection(max_retries=1, timeout=2)
        except Exception:
            return False
        return True
