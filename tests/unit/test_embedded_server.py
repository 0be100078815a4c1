"""The server of our own: who may stop it, and where its socket may be."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis

from celery_recommender.broker.redis.connections import connect
from celery_recommender.broker.redis.embedded import EmbeddedServer
from celery_recommender.celery.worker.app import make_app
from celery_recommender.settings import Settings
from recommender_engine.errors import ConfigurationError, StateError

_STRANGER = """
import sys
from redis import Redis
client = Redis(unix_socket_path=sys.argv[1])
client.ping()
print("connected", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    started = EmbeddedServer(tmp_path / "own")
    started.ensure()
    with connect(started.url) as redis:
        pid = redis.info("server")["process_id"]
    yield started
    started.stop()
    if started.is_running():  # released to a stranger
        os.kill(pid, 15)
        os.waitpid(pid, 0)


@pytest.mark.server
@pytest.mark.parametrize("name", ["100%2Fdone", "a b#c", "what?", "größe & co"])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    server = EmbeddedServer(tmp_path / name)
    assert server.ensure() == server.url
    try:
        with connect(server.url) as redis:
            assert redis.ping()
        app, _ = make_app(Settings(redis_url=server.url, state_dir=tmp_path / "state"))
        with app.connection_for_write() as broker:
            assert broker.default_channel.client.ping()
        assert app.backend.client.ping()
        assert not server._other_clients(), "its own connections are known as such"
    finally:
        server.stop()


def test_a_folder_that_cannot_be_made_is_reported_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"Not a directory.*RECOMMENDER_STATE_DIR"):
        EmbeddedServer(tmp_path / "file" / "redis").ensure()


@contextmanager
def stranger(server: EmbeddedServer) -> Iterator[None]:
    """Another process, connected."""
    with subprocess.Popen(
        [sys.executable, "-c", _STRANGER, str(server.socket)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"connected\n"
        yield


@pytest.mark.server
def test_it_stays_for_other_processes(server: EmbeddedServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with stranger(server):
        server.release()
        assert server.is_running()
        assert [getattr(record, "clients", None) for record in caplog.records if "left" in record.message] == [1]


@pytest.mark.server
def test_own_connections_do_not_keep_it(server: EmbeddedServer) -> None:
    with stranger(server):
        pass
    with connect(server.url) as one, Redis(unix_socket_path=str(server.socket)) as other:
        assert one.ping()
        assert other.ping()
        server.release()
    assert not server.is_running()


@pytest.mark.server
def test_only_its_starter_stops_it(server: EmbeddedServer) -> None:
    attached = EmbeddedServer(server.socket.parent)
    assert attached.ensure() == server.url
    attached.release()
    attached.stop()
    assert server.is_running()


@pytest.mark.server
def test_no_single_value_can_fill_the_memory(server: EmbeddedServer) -> None:
    with connect(server.url) as redis:
        assert redis.config_get("proto-max-bulk-len") == {"proto-max-bulk-len": str(64 * 1024**2)}


def _far_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddedServer:
    """A server whose directory is too long for a socket, so that the socket goes to the temporary directory."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    server = EmbeddedServer(tmp_path / ("long" * 30))
    assert server.socket.parent == tmp_path / f"recommender-{os.getuid()}"
    return server


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o707])
def test_a_socket_directory_for_others_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int) -> None:
    server = _far_away(tmp_path, monkeypatch)
    server.socket.parent.mkdir()
    server.socket.parent.chmod(mode)
    with pytest.raises(StateError, match="of our own with mode 0700"):
        server.ensure()
    with pytest.raises(StateError, match="of our own with mode 0700"):
        server.is_running()


def test_a_socket_directory_elsewhere_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = _far_away(tmp_path, monkeypatch)
    (tmp_path / "theirs").mkdir(mode=0o700)
    server.socket.parent.symlink_to(tmp_path / "theirs")
    with pytest.raises(StateError, match="of our own with mode 0700"):
        server.ensure()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
def test_a_socket_directory_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = _far_away(tmp_path, monkeypatch)
    server.socket.parent.mkdir(mode=0o700)
    os.chown(server.socket.parent, 65534, -1)
    with pytest.raises(StateError, match="of our own with mode 0700"):
        server.ensure()


def test_a_private_socket_directory_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = _far_away(tmp_path, monkeypatch)
    assert not server.is_running()
    server.socket.parent.mkdir(mode=0o700)
    assert not server.is_running()
