from __future__ import annotations

import pytest
from celery import Celery
from redis.connection import SSLConnection, UnixDomainSocketConnection

from recommender.errors import ConfigurationError
from workers.broker.connections import SentinelAddress, celery_url, connect, masked, transport_options

PLAIN = "redis://127.0.0.1:6379/0"
TLS = "rediss://user:secret@host:6390/1"
UNIX = "unix:///run/redis.sock?db=3"
SENTINEL = "sentinel://user:p%40ss@one:26379,two/main/2"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (PLAIN, {"host": "127.0.0.1", "port": 6379, "db": 0}),
        ("redis://:p%40ss@host", {"host": "host", "password": "p@ss"}),
        (
            "redis://user:secret@host:1/4",
            {"host": "host", "port": 1, "db": 4, "username": "user", "password": "secret"},
        ),
        (TLS, {"host": "host", "port": 6390, "db": 1, "username": "user"}),
        (UNIX, {"path": "/run/redis.sock", "db": 3}),
        ("unix:///run/redis.sock?password=a%2520b&db=3", {"path": "/run/redis.sock", "password": "a%20b", "db": 3}),
        ("unix://user:secret@/run/redis.sock", {"path": "/run/redis.sock", "username": "user", "password": "secret"}),
    ],
)
def test_redis_py_connects_to(url: str, expected: dict[str, object]) -> None:
    with connect(url) as client:
        options = client.connection_pool.connection_kwargs
        assert {name: options[name] for name in expected} == expected
        assert options["socket_timeout"] == 10.0


@pytest.mark.parametrize(("url", "kind"), [(TLS, SSLConnection), (UNIX, UnixDomainSocketConnection)])
def test_redis_py_connects_with(url: str, kind: type) -> None:
    with connect(url) as client:
        assert issubclass(client.connection_pool.connection_class, kind)


@pytest.mark.parametrize(
    ("flags", "fit"),
    [
        ({"master"}, True),
        ({"master", "failover_in_progress"}, False),  # it is up again, and about to become a replica
        ({"master", "o_down", "failover_in_progress"}, False),
    ],
)
def test_a_master_in_the_midst_of_a_failover_is_none_to_connect_to(flags: set[str], fit: bool) -> None:
    state = {"flags": flags, "is_master": True, "is_sdown": False, "is_odown": "o_down" in flags}
    with connect("sentinel://one/main") as client:
        manager = client.connection_pool.sentinel_manager
        assert manager.check_master_state({**state, "num-other-sentinels": 0}, "main") is fit


def test_redis_py_asks_the_sentinels() -> None:
    with connect(SENTINEL) as client:
        pool = client.connection_pool
        assert pool.service_name == "main"
        assert {name: pool.connection_kwargs[name] for name in ("db", "username", "password")} == {
            "db": 2,
            "username": "user",
            "password": "p@ss",
        }
        sentinels = [sentinel.get_connection_kwargs() for sentinel in pool.sentinel_manager.sentinels]
        assert [(options["host"], options["port"]) for options in sentinels] == [("one", 26379), ("two", 26379)]


@pytest.mark.parametrize(
    ("url", "translated"),
    [
        (PLAIN, PLAIN),
        ("redis://user:secret@host:1/4", "redis://user:secret@host:1/4"),
        (UNIX, "redis+socket:///run/redis.sock?virtual_host=3"),
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock?virtual_host=0"),
        ("unix://:p%40ss@/r.sock", "redis+socket://:p%40ss@/r.sock?virtual_host=0"),
        ("unix://user@/r.sock?db=1&password=p@ss", "redis+socket://user:p%40ss@/r.sock?virtual_host=1"),
        (TLS, TLS + "?ssl_cert_reqs=required"),
        ("rediss://h/0?ssl_ca_certs=/ca.pem", "rediss://h/0?ssl_ca_certs=/ca.pem&ssl_cert_reqs=required"),
        ("rediss://h/0?ssl_cert_reqs=none", "rediss://h/0?ssl_cert_reqs=none"),
        (SENTINEL, "sentinel://user:p%40ss@one:26379/2;sentinel://user:p%40ss@two:26379/2"),
        ("sentinel://one/main", "sentinel://one:26379/0"),
    ],
)
def test_celery_names_the_same_server(url: str, translated: str) -> None:
    assert celery_url(url) == translated


def test_celery_is_not_sent_past_tls() -> None:
    with pytest.raises(ConfigurationError, match=r"sentinels://user:\*\*\*@one/main: Celery does not reach"):
        celery_url("sentinels://user:secret@one/main")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (PLAIN, {"hostname": "127.0.0.1", "port": 6379, "virtual_host": "0"}),
        (TLS, {"hostname": "host", "port": 6390, "userid": "user", "password": "secret", "virtual_host": "1"}),
    ],
)
def test_kombu_understands_it(url: str, expected: dict[str, object]) -> None:
    info = Celery(broker=celery_url(url), set_as_current=False).connection().info()
    assert {name: info[name] for name in expected} == expected


def test_transport_options_fit_the_kind_of_server() -> None:
    assert transport_options(PLAIN)["socket_keepalive"] is True
    assert "socket_keepalive" not in transport_options(UNIX)
    assert "master_name" not in transport_options(PLAIN)
    assert transport_options(SENTINEL)["master_name"] == "main"
    assert {transport_options(url)["visibility_timeout"] for url in (PLAIN, TLS, UNIX, SENTINEL)} == {600}


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:6379", "http://host", "amqp://host", "redis+cluster://host", "valkey://host"],
)
def test_other_kinds_of_urls_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="must begin with one of redis://, rediss://, unix://, sentinel://"):
        connect(url)


@pytest.mark.parametrize("url", ["sentinel://one", "sentinel://one/", "sentinel:///main", "sentinel://one/main/x"])
def test_a_sentinel_url_must_be_whole(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is not sentinel://\[user:password@\]host"):
        SentinelAddress.parse(url)


@pytest.mark.parametrize("url", ["redis://:secret@host:port/0", "redis://:secret@host/0?socket_timeout=x"])
def test_an_error_shows_no_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^redis://:\*\*\*@host") as caught:
        connect(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (PLAIN, PLAIN),
        (TLS, "rediss://user:***@host:6390/1"),
        ("redis://:se@cret@host/0", "redis://:***@host/0"),
        ("redis://host:6379/0?client_name=a@b", "redis://host:6379/0?client_name=a@b"),
        ("unix:///r.sock?password=secret&db=1", "unix:///r.sock?password=***&db=1"),
        (SENTINEL, "sentinel://user:***@one:26379,two/main/2"),
    ],
)
def test_passwords_are_masked(url: str, shown: str) -> None:
    assert masked(url) == shown
