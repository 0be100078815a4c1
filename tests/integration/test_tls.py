"""TLS, with certificates made for the test: whom we believe, and whom we do not."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from trustme import CA

from celery_recommender.broker.redis.connections import celery_url, connect, transport_options
from celery_recommender.settings import Settings
from tests.support.answering import answers_over
from tests.support.command_line import command, environment
from tests.support.servers import RedisServer, running

pytestmark = pytest.mark.server


class Authorities(NamedTuple):
    """Files of certificate authorities.

    Attributes:
        ours: the one that has signed the server's certificate.
        strange: another one.
        client: certificate and key, in one file, that ours has signed for a client.
    """

    ours: Path
    strange: Path
    client: Path


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Authorities:
    directory = tmp_path_factory.mktemp("authorities")
    ours, strange = CA(), CA()
    found = Authorities(directory / "ours.pem", directory / "strange.pem", directory / "client.pem")
    ours.cert_pem.write_to_path(found.ours)
    strange.cert_pem.write_to_path(found.strange)
    ours.issue_cert("client.test").private_key_and_cert_chain_pem.write_to_path(found.client)
    # The server is known by this name and not by its address.
    server = ours.issue_cert("localhost")
    server.private_key_pem.write_to_path(directory / "server.key")
    server.cert_chain_pems[0].write_to_path(directory / "server.pem")
    return found


def tls_server(directory: Path, authorities: Authorities, clients: str) -> RedisServer:
    files = authorities.ours.parent
    options = ["--port", "0", "--tls-port", "{port}", "--tls-ca-cert-file", str(authorities.ours)]
    options += ["--tls-cert-file", str(files / "server.pem"), "--tls-key-file", str(files / "server.key")]
    url = f"rediss://localhost:{{port}}/0?ssl_ca_certs={authorities.ours}"
    if clients == "yes":
        url += f"&ssl_certfile={authorities.client}&ssl_keyfile={authorities.client}"
    return RedisServer(directory, [*options, "--tls-auth-clients", clients], url)


@pytest.fixture(scope="module")
def server(authorities: Authorities, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with ExitStack() as stack:
        server = tls_server(tmp_path_factory.mktemp("server"), authorities, "no")
        try:
            stack.enter_context(running(server))
        except RuntimeError as error:
            pytest.skip(f"this redis-server has no TLS: {error}")
        yield server


_CUT_OFF = r"(?i)certificate required|reset|closed|broken pipe|EOF occurred"  # the server says why, or is gone before


@pytest.mark.usefixtures("server")  # is skipped where a server can have no TLS
def test_stream_broker_and_results_are_reached_with_certificates_on_both_sides(
    authorities: Authorities, tmp_path: Path
) -> None:
    with running(tls_server(tmp_path / "server", authorities, "yes")) as server:
        stranger = server.url.partition("&ssl_certfile")[0]
        with (
            connect(stranger) as redis,
            pytest.raises(RedisConnectionError, match=_CUT_OFF),
        ):
            redis.ping()
        answers_over(server.url, tmp_path)


def doubtful_urls(server: RedisServer, authorities: Authorities) -> dict[str, str]:
    """URLs behind which is not what they say, or which do not say whom to believe."""
    place = server.url.partition("?")[0]
    return {
        "signed by another authority": f"{place}?ssl_ca_certs={authorities.strange}",
        "signed by none that the system knows": place,
        "another name": server.url.replace("localhost", "127.0.0.1"),
        "no TLS": place.replace("rediss", "redis"),
    }


DOUBTFUL = ("signed by another authority", "signed by none that the system knows", "another name", "no TLS")
_REFUSAL = r"(?i)certificate verify failed|connection closed|reset by peer"


@pytest.mark.parametrize("doubt", DOUBTFUL)
def test_what_is_doubtful_is_refused_by_every_client(server: RedisServer, authorities: Authorities, doubt: str) -> None:
    url = doubtful_urls(server, authorities)[doubt]
    with connect(url) as redis, pytest.raises(RedisConnectionError, match=_REFUSAL):
        redis.ping()
    app = Celery(broker=celery_url(url), backend=celery_url(url), set_as_current=False)
    app.conf.broker_transport_options = transport_options(url)
    with app.connection() as broker, pytest.raises(OperationalError, match=_REFUSAL):
        broker.ensure_connection(max_retries=1, interval_start=0)
    with pytest.raises(RedisError, match=_REFUSAL):
        app.backend.client.ping()
    app.close()


def test_the_command_line_says_so(server: RedisServer, authorities: Authorities, tmp_path: Path) -> None:
    url = doubtful_urls(server, authorities)["signed by another authority"]
    done = subprocess.run(
        command("doctor"),
        env=environment(Settings(redis_url=url, state_dir=tmp_path)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "certificate verify failed" in done.stdout
