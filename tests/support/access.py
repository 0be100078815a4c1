"""A server with the users of ``deploy/redis/users.acl``, each with its own name as its password."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from types import TracebackType
from typing import Self

from redis import Redis

from celery_recommender.broker.redis.embedded import find_server_program
from tests.support.processes import ROOT
from tests.support.servers import RedisServer

USERS_ACL = ROOT / "deploy/redis/users.acl"
ROLES = tuple(re.findall(r"^user (\S+) on ", USERS_ACL.read_text(), re.MULTILINE))
PROGRAMS = ("valkey-server", "redis-server")
_INSPECTOR = "user inspector on >inspector allkeys allchannels +@all\n"


class GuardedServer(RedisServer):
    """A real server with the users of the file, and one user with access to everything.

    Args:
        directory: where its files go.
        program: one of the ``PROGRAMS``: the embedded server's, or the machine's own.
        key_prefix: put before every pattern of a key or channel, as docs/security.md says.
    """

    def __init__(self, directory: Path, program: str, key_prefix: str = "") -> None:
        directory.mkdir(parents=True, exist_ok=True)
        users = directory / "users.acl"
        text = re.sub("[~&]", rf"\g<0>{key_prefix}", USERS_ACL.read_text())
        for role in ROLES:
            text = text.replace(_placeholder(role), hashlib.sha256(role.encode()).hexdigest())
        users.write_text(text + _INSPECTOR)
        super().__init__(
            directory,
            ["--port", "{port}", "--aclfile", str(users), "--enable-debug-command", "yes"],
            "redis://inspector:inspector@127.0.0.1:{port}/0",
            find_server_program() if program == "valkey-server" else None,
        )

    def url_of(self, role: str) -> str:
        """The URL for one of the roles."""
        return self.url.replace("inspector:inspector", f"{role}:{role}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(f"refused: {self.refusals()}")

    def __enter__(self) -> Self:
        """Count refusals from now on."""
        with Redis.from_url(self.url, protocol=2) as redis:
            redis.acl_log_reset()
        return self

    def refusals(self) -> list[str]:
        """Refused accesses: user, and command, key or channel."""
        with Redis.from_url(self.url, decode_responses=True, protocol=2) as redis:
            return [f"{entry['username']}: {entry['reason']} {entry['object']}" for entry in redis.acl_log()]


def _placeholder(role: str) -> str:
    return f"SHA256_OF_{role.upper().replace('-', '_')}_PASSWORD"
