"""A network of its own for a server and a worker, which can be taken down and up."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


class Namespace:
    """A network namespace with nothing but its loopback device."""

    def __init__(self, name: str) -> None:
        self.prefix = ("ip", "netns", "exec", name)

    def up(self) -> None:
        self._run("ip", "link", "set", "lo", "up")

    def down(self) -> None:
        """Drop everything silently."""
        self._run("ip", "link", "set", "lo", "down")

    def forget(self, port: int) -> None:
        """The server's side of every connection to ``port`` is gone; while the network is down the other side is not
        told."""
        self._run("ss", "-K", "sport", "=", f":{port}")

    def established(self, port: int) -> int:
        """Ends of connections at ``port``, as the server's side knows them."""
        lines = self._run("ss", "-Htn", "state", "established", "sport", "=", f":{port}")
        return len(lines.splitlines())

    def _run(self, *command: str) -> str:
        done = subprocess.run([*self.prefix, *command], capture_output=True, text=True, check=True, timeout=10)
        return done.stdout


@contextmanager
def namespace() -> Iterator[Namespace]:
    """A new namespace; the test is skipped if creating one is not permitted."""
    name = f"recommender-{os.getpid()}"
    if shutil.which("ip") is None or shutil.which("ss") is None:
        pytest.skip("needs the programs ip and ss")
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False, timeout=10).returncode:
        pytest.skip("needs the right to make network namespaces")
    try:
        made = Namespace(name)
        made.up()
        yield made
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False, timeout=10)
