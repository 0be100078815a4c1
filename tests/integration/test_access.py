"""The users of ``deploy/redis/users.acl``: each can do the whole of its work on a real server, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from celery import chain, chord
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError

from celery_recommender.broker.redis.connections import connect
from celery_recommender.client import Client
from celery_recommender.settings import Settings
from celery_recommender.web.security.users import Role, User, UsersFile, hashed
from recommender_engine.items import EntryId
from tests.support.access import PROGRAMS, ROLES, GuardedServer
from tests.support.command_line import call
from tests.support.pages import Browser, served
from tests.support.processes import EmbedProcess, OwnerProcess, WorkerProcess
from tests.support.servers import running
from tests.support.streams import KEYS, PROCESSED
from tests.support.user_project import make_user_app
from tests.support.waiting import wait_until

pytestmark = pytest.mark.server

TIMEOUT_S = 20


@pytest.fixture(scope="module", params=PROGRAMS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedServer]:
    guarded = GuardedServer(tmp_path_factory.mktemp("server"), request.param)
    with running(guarded):
        yield guarded


class System:
    """Processes of every role on one server."""

    def __init__(self, server: GuardedServer, directory: Path) -> None:
        self.server = server
        self.directory = directory

    def settings(self, role: str) -> Settings:
        return Settings(
            redis_url=self.server.url_of(role),
            state_dir=self.directory / "state",
            deliver_task="project.describe",
            deliver_types=(PROCESSED, "recommender.item.deleted.v1"),
            embed_workers=1,
        )

    def run(self, role: str, *arguments: str) -> str:
        """``recommender ARGUMENT …`` as that role."""
        done = call(self.settings(role), *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def item(id_: str) -> dict[str, str]:
    return {"id": id_, "text": f"what {id_} is about"}


def test_each_role_can_do_the_whole_of_its_work(server: GuardedServer, tmp_path: Path) -> None:
    system = System(server, tmp_path)
    with ExitStack() as stack:
        stack.enter_context(server)
        # The one that forks, with Celery's defaults but for what the user_project sets: a worker of a user's own.
        theirs = stack.enter_context(
            WorkerProcess(
                "tests.support.user_app",
                system.settings("celery-worker"),
                tmp_path / "worker.log",
                ["--pool=prefork", "--concurrency=1", "--hostname=user@%h"],
            )
        )
        owner = stack.enter_context(OwnerProcess(system.settings("worker"), tmp_path / "owner.log"))
        embedder = stack.enter_context(EmbedProcess(system.settings("embed-worker"), tmp_path / "embed.log"))
        for process in (theirs, owner, embedder):
            process.start()
        theirs.wait_ready()
        owner.wait_ready()
        owner.until(lambda: "fleet.serving" in owner.output, "the embed worker to answer")

        producer = stack.enter_context(connect(server.url_of("producer")))
        produce(Client(system.settings("producer"), producer))
        call_tasks(stack, system)
        with connect(server.url_of("consumer")) as redis:
            consume(redis)
        inspect(system)
        use_page(system)
        theirs.until(lambda: theirs.output.count("Task project.describe") >= 2, "events to be delivered")
        with connect(server.url) as redis:  # every five seconds each worker looks for what was not acknowledged
            wait_until(lambda: searches(redis) > 3, "the lock of each one's search")
        assert embedder.terminate() == 0
        assert owner.terminate() == 0
        assert theirs.terminate() == 0
    assert server.refusals() == []


def searches(redis: Redis) -> int:
    """How often a lock has been released, which only that search takes."""
    stats: Any = redis.info("commandstats")
    return int(stats.get("cmdstat_evalsha", {"calls": 0})["calls"])


def produce(client: Client) -> None:
    positions = client.ingest_many([item("a"), item("b")])
    positions.append(client.configure("default", {"candidates": 20}))
    positions.append(client.delete("b"))
    assert [client.outcome(position)["type"] for position in positions] == [
        PROCESSED,
        PROCESSED,
        "recommender.collection.configured.v1",
        "recommender.item.deleted.v1",
    ]


def call_tasks(stack: ExitStack, system: System) -> None:
    app = make_user_app(system.settings("celery-producer"))
    stack.callback(app.close)
    ingest, describe = app.tasks["recommender.ingest"], app.tasks["project.describe"]
    assert ingest.delay(item("c")).get(timeout=TIMEOUT_S)["item_id"] == "c"
    by_name = app.send_task("recommender.ingest", [item("d")], queue=KEYS.queue)
    assert by_name.get(timeout=TIMEOUT_S)["item_id"] == "d"
    assert app.tasks["recommender.get"].delay("d").get(timeout=TIMEOUT_S)["item_id"] == "d"
    described = chain(ingest.s(item("e")), describe.s()).delay()
    assert described.get(timeout=TIMEOUT_S)["id"]["item_id"] == "e"
    together = chord([ingest.s(item("f")), ingest.s(item("g"))], app.tasks["project.ids"].s()).delay()
    assert together.get(timeout=TIMEOUT_S) == ["f", "g"]
    from_a_task = app.tasks["project.publish"].delay(item("h")).get(timeout=TIMEOUT_S)
    assert app.AsyncResult(from_a_task).get(timeout=TIMEOUT_S)["item_id"] == "h"


def consume(redis: Redis) -> None:
    redis.xgroup_create(KEYS.events, "shop", id="0")
    reply: Any = redis.xreadgroup("shop", "one", {KEYS.events: ">"}, count=100)
    entries = [id_ for id_, _ in reply[0][1]]
    assert len(entries) >= 8
    assert EntryId.parse(entries[0].decode()) < EntryId.parse(entries[-1].decode())
    assert redis.xautoclaim(KEYS.events, "shop", "two", 0)[1]
    assert redis.xack(KEYS.events, "shop", *entries) == len(entries)


def inspect(system: System) -> None:
    assert "running" in system.run("auditor", "doctor")
    assert '"running"' in system.run("dashboard", "stats", "--json")
    assert "what a is about" in system.run("dashboard", "search", "what a is about")


def use_page(system: System) -> None:
    """Every kind of page, with users."""
    users = UsersFile(system.directory / "users.json")
    users.put("jo", User(password=hashed("correct horse"), role=Role.CONFIGURE))
    producer = Client(system.settings("producer"))
    rejected = producer.outcome(producer.send("item.upsert", {"id": "z", "wrong": 1}))["id"]
    producer.outcome(producer.ingest(item("z")))
    producer.close()
    with served(system.settings("web").replaced(web_users=users.path)) as address, Browser(address) as browser:
        assert browser.log_in("jo", "correct horse").status_code == 200
        for path in (
            "/overview",
            "/review",
            "/review/card",
            "/items",
            "/search?q=a",
            "/answers",
            "/letters",
            "/status",
        ):
            browser.page(path)
        with browser.stream("GET", "/feed/stream") as stream:
            assert next(stream.iter_lines()) == ": alive"
        pair = {"collection": "default", "one": "z", "other": "a"}
        for answer in ("skip", "same"):
            fields = {**pair, "answer": answer, "key": "a" * 32, "apart": "true"}
            browser.give("/review/answer", **fields)
        browser.give("/review/undo", collection="default")
        assert "jo" in browser.page("/letter", partition="default", id=rejected)
        browser.give("/letter/drop", partition="default", id=rejected)
        browser.give("/logout")


# -- what nobody can ---------------------------------------------------------------------------------------------------

DANGEROUS = [
    "EVAL return(1) 0",
    "FCALL any 0",
    "FUNCTION LOAD #!lua",
    "SCRIPT FLUSH",
    "SCRIPT KILL",
    "CONFIG GET *",
    "CONFIG SET appendonly no",
    "KEYS *",
    "SCAN 0",
    "RANDOMKEY",
    "DBSIZE",
    "FLUSHALL",
    "FLUSHDB",
    "SWAPDB 0 1",
    "DEBUG SLEEP 0",
    "MONITOR",
    "ACL LIST",
    "ACL SETUSER producer allkeys",
    "ACL LOG",
    "CLIENT LIST",
    "CLIENT KILL TYPE normal",
    "CLIENT PAUSE 1",
    "CLIENT TRACKING ON BCAST",
    "REPLICAOF NO ONE",
    "PSYNC ? -1",
    "MODULE LIST",
    "SAVE",
    "BGREWRITEAOF",
    "SLOWLOG GET",
    "LATENCY RESET",
    "SHUTDOWN NOSAVE",
]
# Another partition is another tenant; so is one whose name begins with ours.
FOREIGN = [
    "XADD recommender:{other}:commands * data {{}}",
    "XRANGE recommender:{other}:commands - +",
    "XRANGE recommender:{other}:events - +",
    "XREAD STREAMS recommender:{other}:events 0",
    "XREADGROUP GROUP g c STREAMS recommender:{other}:events >",
    "XTRIM recommender:{other}:commands MAXLEN 0",
    "HGET recommender:{other}:replies task",
    "HSET recommender:{other}:replies task {{}}",
    "GET recommender:{other}:status",
    "SET recommender:{other}:state mine",
    "DEL recommender:{other}:state",
    "WATCH recommender:{other}:lease",
    "LPUSH recommender.{other} {{}}",
    "BRPOP recommender.{other} 1",
    "HGETALL recommender:{other}:embed-requests",
    "RPUSH recommender:{other}:embed-replies x",
]
ELSEWHERE = [
    "GET session:1",
    "SET session:1 x",
    "XADD mine * a b",
    "PUBLISH channel x",
    "SUBSCRIBE channel",
    "SORT mine",
]
FOR_ALL = [*DANGEROUS, *ELSEWHERE, *(line.format(other=other) for other in ("other", "default2") for line in FOREIGN)]


def refused(redis: Redis, line: str) -> bool:
    try:
        redis.execute_command(*line.split())
    except NoPermissionError:
        return True
    return False


@pytest.mark.parametrize("role", ROLES)
def test_no_role_can_do_harm_or_reach_another_tenant(server: GuardedServer, role: str) -> None:
    with connect(server.url_of(role)) as redis:
        redis.ping()
        assert [line for line in FOR_ALL if not refused(redis, line)] == []


def all_but(*roles: str) -> tuple[str, ...]:
    return tuple(role for role in ROLES if role not in roles)


@pytest.mark.parametrize(
    ("roles", "line"),
    [
        # Commands are read by the owner only; a producer adds to them and cannot take back, reorder or read others'.
        (("producer", "consumer", "celery-producer", "celery-worker"), "XRANGE recommender:default:commands - +"),
        (("producer", "consumer", "celery-producer", "celery-worker"), "XREAD STREAMS recommender:default:commands 0"),
        (("producer", "consumer", "celery-producer", "celery-worker"), "XTRIM recommender:default:commands MAXLEN 0"),
        (("producer", "consumer", "celery-producer", "celery-worker"), "XDEL recommender:default:commands 1-1"),
        (("producer", "consumer", "celery-producer", "celery-worker"), "DEL recommender:default:commands"),
        (("consumer", "dashboard", "auditor"), "XADD recommender:default:commands * data {}"),
        # Sessions are made by the page only.
        (all_but("worker", "web"), "SET recommender:default:web:session:1 jo"),
        (("web",), "XRANGE recommender:default:commands - +"),
        (("web",), "XTRIM recommender:default:commands MAXLEN 0"),
        (("web",), "XDEL recommender:default:events 1-1"),
        (("web",), "HGETALL recommender:default:replies"),
        # Embed workers embed, and nothing else; who is no owner cannot ask them, and nobody else can answer.
        (("embed-worker",), "XADD recommender:default:commands * data {}"),
        (("embed-worker",), "XRANGE recommender:default:commands - +"),
        (("embed-worker",), "XRANGE recommender:default:events - +"),
        (("embed-worker",), "GET recommender:default:status"),
        (("embed-worker",), "HGETALL recommender:default:embed-requests"),
        (("embed-worker",), "HSET recommender:default:embed-requests request {}"),
        (("embed-worker",), "LPOP recommender:default:embed-replies"),
        (("embed-worker",), "SET celery-task-meta-1 {}"),
        (("embed-worker",), "LPUSH recommender.default {}"),
        (all_but("worker", "embed-worker"), "HGET recommender:default:embed-requests request"),
        (all_but("worker", "embed-worker"), "RPUSH recommender:default:embed-replies x"),
        (all_but("worker", "embed-worker"), "LPUSH recommender-embed {}"),
        # Events are written by the owner only.
        (all_but("worker"), "XADD recommender:default:events * event {}"),
        (all_but("worker"), "DEL recommender:default:events"),
        (("producer", "dashboard", "auditor"), "XREADGROUP GROUP g c STREAMS recommender:default:events >"),
        (all_but("worker"), "XGROUP DESTROY recommender:default:events shop"),
        # Who waits for an outcome is registered by those who call tasks, and read by the owner only.
        (("producer", "consumer", "dashboard", "auditor"), "HSET recommender:default:replies task {}"),
        (("producer", "consumer", "celery-producer"), "HGET recommender:default:replies task"),
        # By what is proven that an owner or a mover gave a command.
        (all_but("worker"), "HGET recommender:default:private:proof secret"),
        (all_but("worker"), "HGETALL recommender:default:private:proof"),
        (all_but("worker"), "HSET recommender:default:private:proof secret mine"),
        (all_but("worker"), "HSETNX recommender:default:private:proof secret mine"),
        (all_but("worker"), "DEL recommender:default:private:proof"),
        (all_but("worker"), "GET recommender:default:private:proof"),
        (all_but("worker"), "EXISTS recommender:default:private:proof"),
        (all_but("worker"), "SET recommender:default:state mine"),
        (all_but("worker"), "SET recommender:default:status {}"),
        # Results are written by workers only.
        (("producer", "consumer", "celery-producer", "dashboard", "auditor"), "SET celery-task-meta-1 {}"),
        (("producer", "consumer", "celery-producer", "dashboard", "auditor"), "PUBLISH celery-task-meta-1 {}"),
        # The broker's queues are read by workers only, each its own.
        (("celery-producer", "dashboard", "celery-worker", "embed-worker"), "BRPOP recommender.default 1"),
        (("celery-producer", "dashboard", "celery-worker", "embed-worker"), "LRANGE recommender.default 0 -1"),
        (("producer", "consumer", "auditor"), "LPUSH recommender.default {}"),
        (("producer", "consumer", "auditor", "dashboard"), "LPUSH celery {}"),
        (all_but("worker", "celery-worker", "embed-worker"), "EVALSHA 0000000000000000000000000000000000000000 0"),
        (all_but("worker", "celery-worker", "embed-worker"), "SCRIPT LOAD return(1)"),
        (all_but("worker", "celery-worker"), "HGETALL unacked"),
    ],
)
def test_a_role_cannot_do_the_work_of_another(server: GuardedServer, roles: tuple[str, ...], line: str) -> None:
    for role in roles:
        with connect(server.url_of(role)) as redis:
            assert refused(redis, line), role


@pytest.mark.parametrize(
    ("credentials", "answer"), [("", "Authentication required"), ("producer:other@", "invalid username-password")]
)
def test_no_client_connects_without_a_password(server: GuardedServer, credentials: str, answer: str) -> None:
    url = server.url.replace("inspector:inspector@", credentials)
    with Redis.from_url(url, retry=None, protocol=2) as redis, pytest.raises(AuthenticationError, match=answer):
        redis.ping()
