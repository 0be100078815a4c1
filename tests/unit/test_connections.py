from __future__ import annotations

import re
import ssl
from pathlib import Path

import pytest
from celery import Celery
from redis.connection import SSLConnection, UnixDomainSocketConnection
from redis.exceptions import ConnectionError  # noqa: A004

from celery_recommender.broker.redis.connections import backend_options, celery_url, connect, transport_options
from celery_recommender.broker.redis.fitness import Unfit, explained
from celery_recommender.settings import Settings
from celery_recommender.urls import ServerAddress, masked
from recommender_engine.errors import ConfigurationError

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


@pytest.mark.parametrize("option", ["ssl_ca_certs", "ssl_certfile", "ssl_keyfile"])
@pytest.mark.parametrize("kind", ["rediss://localhost:1/0", "sentinels://localhost:1/main"])
def test_a_file_of_tls_that_cannot_be_read_is_named(kind: str, option: str, tmp_path: Path) -> None:
    """Otherwise the server would seem to be away, and be waited for."""
    away = ConnectionError("Error 2 connecting to localhost:1. No such file or directory.")
    told = explained(away, f"{kind}?{option}={tmp_path}/none.pem")
    assert isinstance(told, Unfit)
    assert f"{option}={tmp_path}/none.pem in RECOMMENDER_REDIS_URL cannot be read (No such file" in str(told)


def test_over_tls_the_master_is_reached_so_and_the_sentinels_are_not() -> None:
    with connect("sentinels://one,two/main") as client:
        pool = client.connection_pool
        assert issubclass(pool.connection_class, SSLConnection)
        asked = [sentinel.connection_pool.connection_class for sentinel in pool.sentinel_manager.sentinels]
        assert not any(issubclass(kind, SSLConnection) for kind in asked)


@pytest.mark.parametrize(
    ("url", "translated"),
    [
        (PLAIN, PLAIN),
        ("redis://user:secret@host:1/4", "redis://user:secret@host:1/4"),
        ("valkey://[::1]?db=2", "redis://[::1]:6379/2"),
        (UNIX, "redis+socket:///run/redis.sock?virtual_host=3"),
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock?virtual_host=0"),
        ("unix://:p%40ss@/r.sock", "redis+socket://:p%40ss@/r.sock?virtual_host=0"),
        ("redis+socket:///r.sock?virtual_host=2", "redis+socket:///r.sock?virtual_host=2"),
        ("unix://user@/r.sock?db=1&password=p@ss", "redis+socket://user:p%40ss@/r.sock?virtual_host=1"),
        (TLS, TLS + "?ssl_cert_reqs=required"),
        ("rediss://h/0?ssl_ca_certs=/ca.pem", "rediss://h:6379/0?ssl_cert_reqs=required&ssl_ca_certs=%2Fca.pem"),
        ("rediss://h?ssl_cert_reqs=CERT_OPTIONAL", "rediss://h:6379/0?ssl_cert_reqs=optional"),
        (SENTINEL, "sentinel://user:p%40ss@one:26379/2;sentinel://user:p%40ss@two:26379/2"),
        ("sentinel://one/main", "sentinel://one:26379/0"),
        ("amqp://user:secret@host//", "amqp://user:secret@host//"),
    ],
)
def test_celery_names_the_same_server(url: str, translated: str) -> None:
    assert celery_url(url) == translated


def test_celery_is_not_sent_past_tls() -> None:
    with pytest.raises(ConfigurationError, match=r"sentinels://user:\*\*\*@one:26379/main/0: Celery does not reach"):
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


def test_a_host_name_that_is_not_checked_reaches_celery_as_no() -> None:
    url = "rediss://h/0?ssl_check_hostname=False"
    assert connect(url).connection_pool.connection_kwargs["ssl_check_hostname"] is False
    broker = Celery(broker=celery_url(url), set_as_current=False).connection()
    assert broker.ssl["ssl_check_hostname"] is False
    app = Celery(backend=celery_url(url, backend=True), set_as_current=False)
    app.conf.update(**backend_options(url))
    assert app.backend.connparams["ssl_check_hostname"] is False
    assert app.backend.connparams["ssl_cert_reqs"] == ssl.CERT_REQUIRED


def test_timeouts_of_the_url_hold_for_celery_as_well() -> None:
    url = "redis://h/0?socket_timeout=30&socket_connect_timeout=3&client_name=shop"
    assert connect(url).connection_pool.connection_kwargs["socket_timeout"] == 30
    assert transport_options(url)["socket_connect_timeout"] == 3
    assert transport_options(url)["client_name"] == "shop"
    assert backend_options(url)["redis_socket_timeout"] == 30


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("127.0.0.1:6379", "must begin with one of redis://, rediss://, unix://, sentinel://"),
        ("http://:tiger@host", "must begin with one of"),
        ("amqp://:tiger@host", "must begin with one of"),
        ("redis+cluster://:tiger@host", "Redis Cluster is not supported"),
        *((f"redis://:ti{character}ger@host:6379/0", "percent-encode") for character in "#/?"),
        *((f"unix://user:ti{character}ger@/r.sock", "percent-encode") for character in "#/?"),
        *((f"sentinel://:ti{character}ger@host/main", "percent-encode") for character in "#/?"),
        ("redis://:ti/g#e?r@x@host:6379/0", "percent-encode"),
        ("redis://:tiger", "percent-encode"),
        ("redis://user:tiger", "percent-encode"),
        ("redis://tiger@host", "a password alone stands behind a colon"),
        ("redis://:123/4?tiger@host", "percent-encode"),
        ("redis://:tiger@[::1", "an IPv6 address stands in brackets"),
        ("redis://:tiger@::1:6379", "an IPv6 address stands in brackets|port is no number"),
        ("redis://:tiger@host:port/0", "the port is no number"),
        ("redis://:tiger@host:0/0", "the port is no number from 1"),
        ("redis://:tiger@host:65536/0", "the port is no number from 1"),
        ("redis://:tiger@host/zero", "the database is no number"),
        ("redis://:tiger@host/-1", "the database is no number"),
        ("redis://:tiger@host/1?db=2", "two databases"),
        ("redis://:tiger@host/1?virtual_host=2", "two databases"),
        ("redis://:tiger@host/0?socket_timeout=soon", "socket_timeout is no number"),
        ("redis://:tiger@host/0?socket_timeout=1", "socket_timeout must be from 2"),
        ("redis://:tiger@host/0?family=6", r"an option \(family\) that is not known here; known are client_name, db"),
        ("redis://host/0?password=ti&ger=1", "an option that is not known"),
        ("redis://host/0?password=ti#ger", "percent-encode"),
        ("redis://:tiger@host/0?ssl_ca_certs=/ca.pem", "begin with rediss://"),
        ("rediss://:tiger@host/0?ssl_cert_reqs=maybe", "ssl_cert_reqs is one of required, optional, none"),
        ("redis://:ti%ffger@host", "not UTF-8"),
        ("redis://:ti ger@host", "no blanks"),
        ("redis://:ti\nger@host", "no control characters"),
        ("redis://:tiger@a,b/0", "one server is named, not a list"),
        ("redis://:tiger@a/3;redis://:tiger@b/3", "a list of servers is not supported"),
        ("sentinel://:tiger@one", "is not sentinel://.user:password@.host.*master_name=NAME"),
        ("sentinel://:tiger@one/", "the name that the Sentinels give the master is missing"),
        ("sentinel://:tiger@one:1;sentinel://:tiger@two:2", "the name that the Sentinels give the master is missing"),
        ("sentinel://:tiger@one:1/0;sentinel://two:2/0", "the name that the Sentinels give the master is missing"),
        ("sentinel:///main", "is not sentinel://"),
        ("sentinel://:tiger@one/main/x", "is not sentinel://"),
        ("sentinel://:tiger@one/main;sentinel://:liger@two/main", "do not agree in their password"),
        ("unix://run/redis.sock", "begins with a third slash"),
        ("unix:///", "the path of the socket is missing"),
        (";;;", "must begin with"),
        ("redis", "must begin with"),
    ],
)
def test_what_is_wrong_with_a_url_is_said_in_a_sentence_without_its_password(url: str, advice: str) -> None:
    for read in (connect, settings_of):
        with pytest.raises(ConfigurationError, match=advice) as caught:
            read(url)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__
        shown = f"{caught.value} {masked(url)}"
        assert not re.search(r"ti.?ger|liger|tig|ger@|ge\?r", shown), shown
        assert len(shown.splitlines()) == 1


def settings_of(url: str) -> Settings:
    return Settings.from_environment({"RECOMMENDER_REDIS_URL": url})


def test_settings_made_in_code_do_not_repeat_it_either() -> None:
    with pytest.raises(ValueError, match="percent-encode") as caught:
        Settings(redis_url="redis://:ti#ger@host")
    assert "ger" not in str(caught.value)
    with pytest.raises(ConfigurationError, match=r"^RECOMMENDER_BROKER_URL: amqp://user:\*\*\*@host.*percent-encode"):
        Settings.from_environment({"RECOMMENDER_BROKER_URL": "amqp://user:ti/ger@host"})
    with pytest.raises(ConfigurationError, match=r"^RECOMMENDER_RESULT_BACKEND: .*Redis Cluster is not supported"):
        Settings.from_environment({"RECOMMENDER_RESULT_BACKEND": "redis+cluster://host"})


@pytest.mark.parametrize(
    "ignored",
    ["decode_responses=True", "protocol=3", "health_check_interval=5", "max_connections=1", "encoding=latin-1"],
)
def test_options_of_other_clients_change_nothing(ignored: str) -> None:
    assert ServerAddress.parse(f"redis://h/1?{ignored}") == ServerAddress.parse("redis://h/1")
    with connect(f"redis://h/1?{ignored}") as client:
        assert client.connection_pool.connection_kwargs["protocol"] == 2
        assert not client.get_encoder().decode_responses
    assert celery_url(f"redis://h/1?{ignored}") == "redis://h:6379/1"


@pytest.mark.parametrize(
    ("url", "hosts", "service", "db"),
    [
        ("sentinel://:p@one:1;sentinel://:p@two/main/2", (("one", 1), ("two", 26379)), "main", 2),
        ("sentinel://one:1/0;sentinel://two:2/0?master_name=main", (("one", 1), ("two", 2)), "main", 0),
        ("sentinel://one:1,sentinel://two:2/main", (("one", 1), ("two", 2)), "main", 0),
        ("sentinel://[::1]:1,[::2]/main", (("::1", 1), ("::2", 26379)), "main", 0),
        ("redis+sentinel://one/main", (("one", 26379),), "main", 0),
    ],
)
def test_lists_of_sentinels(url: str, hosts: tuple[tuple[str, int], ...], service: str, db: int) -> None:
    address = ServerAddress.parse(url)
    assert (address.hosts, address.service, address.db) == (hosts, service, db)
    assert transport_options(url)["master_name"] == service
    assert celery_url(url).count("sentinel://") == len(hosts)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (PLAIN, PLAIN),
        (TLS, "rediss://user:***@host:6390/1"),
        ("redis://:se@cret@host/0", "redis://:***@host:6379/0"),
        ("redis://host:6379/0?client_name=a@b", "redis://host:6379/0"),
        ("unix:///r.sock?password=secret&db=1", "unix://:***@/r.sock?db=1"),
        (SENTINEL, "sentinel://user:***@one:26379,two:26379/main/2"),
        ("amqp://user:secret@host//", "amqp://user:***@host//"),
        ("redis://:se/cret@host", "redis://:***@host"),
    ],
)
def test_passwords_are_masked(url: str, shown: str) -> None:
    assert masked(url) == shown
