"""Every way to reach a server: password, ACL user, Unix socket with a password, TLS, Sentinel."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis import Redis
from redis.exceptions import RedisError

from tests.support.processes import OwnerProcess
from tests.support.servers import RedisServer, Server, free_port, running
from tests.support.streams import KEYS
from tests.support.waiting import wait_until
from workers.broker.connections import connect
from workers.celery.app import make_app
from workers.client import Client
from workers.settings import Settings

pytestmark = pytest.mark.server

PASSWORD = "p@ss:w/rd%20"
QUOTED = "p%40ss%3Aw%2Frd%2520"


def answers_over(url: str, directory: Path) -> None:
    """The stream, the broker and the result backend are all reached by this URL."""
    settings = Settings(redis_url=url, state_dir=directory / "state")
    with OwnerProcess(settings, directory / "owner.log") as owner, connect(url) as redis:
        owner.running()
        client = Client(settings, redis)
        assert client.outcome(client.ingest({"id": "a", "text": "a text"}))["data"]["band"] == "new"
        app, _ = make_app(settings)
        assert (
            app.tasks["recommender.ingest"].delay({"id": "b", "text": "a text"}).get(timeout=20)["duplicate_of"] == "a"
        )
        by_name = app.send_task("recommender.ingest", [{"id": "c", "text": "a text"}], queue=KEYS.queue)
        assert by_name.get(timeout=20)["duplicate_of"] == "a"
        app.close()
        assert PASSWORD not in owner.output
        assert QUOTED not in owner.output
        assert owner.terminate() == 0


def test_password(tmp_path: Path) -> None:
    options = ["--port", "{port}", "--requirepass", PASSWORD]
    server = RedisServer(tmp_path / "server", options, f"redis://:{QUOTED}@127.0.0.1:{{port}}/2")
    with running(server):
        answers_over(server.url, tmp_path)


def test_acl_user(tmp_path: Path) -> None:
    acl = tmp_path / "users.acl"
    acl.write_text(f"user default off\nuser recommender on >{PASSWORD} ~* &* +@all -@dangerous +info\n")
    options = ["--port", "{port}", "--aclfile", str(acl)]
    server = RedisServer(tmp_path / "server", options, f"redis://recommender:{QUOTED}@127.0.0.1:{{port}}/0")
    with running(server):
        answers_over(server.url, tmp_path)


@pytest.mark.parametrize("form", [":{password}@{path}?db=1", "{path}?db=1&password={password}"])
def test_unix_socket_with_a_password(tmp_path: Path, form: str) -> None:
    path = tmp_path / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(path), "--requirepass", PASSWORD]
    server = RedisServer(tmp_path / "server", options, "unix://" + form.format(password=QUOTED, path=path))
    with running(server):
        answers_over(server.url, tmp_path)


def test_tls(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the program openssl, to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    options = ["--port", "0", "--tls-port", "{port}", "--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
    options += ["--tls-ca-cert-file", str(certificate), "--tls-auth-clients", "no"]
    server = RedisServer(tmp_path / "server", options, f"rediss://localhost:{{port}}/0?ssl_ca_certs={certificate}")
    with ExitStack() as stack:
        try:
            stack.enter_context(running(server))
        except RuntimeError as error:
            pytest.skip(f"this redis-server has no TLS: {error}")
        answers_over(server.url, tmp_path)


def test_sentinel(tmp_path: Path) -> None:
    with running(RedisServer(tmp_path / "server")) as master, sentinel(tmp_path, master) as url:
        answers_over(url, tmp_path)


@contextmanager
def sentinel(directory: Path, master: Server) -> Iterator[str]:
    """A sentinel that watches the server; its URL."""
    program = shutil.which("redis-server")
    assert program is not None
    port = free_port()
    configuration = directory / "sentinel.conf"
    configuration.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {directory}\nsentinel monitor main 127.0.0.1 {urlsplit(master.url).port} 1\n"
    )
    process = subprocess.Popen([program, configuration, "--sentinel"], stdout=subprocess.DEVNULL)
    try:
        with Redis(port=port) as redis:
            wait_until(lambda: answers(redis), "the sentinel to answer")
        yield f"sentinel://127.0.0.1:{port}/main/0"
    finally:
        process.terminate()
        process.wait(15)


def answers(redis: Redis) -> bool:
    try:
        return bool(redis.ping())
    except RedisError:
        return False
