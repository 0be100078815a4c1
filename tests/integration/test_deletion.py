"""A collection is deleted by the command line, with the users of ``deploy/redis/users.acl`` and a real worker."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from celery_recommender.broker.coordination.proofs import NotPermitted
from celery_recommender.celery.tasks.commands import DeleteCollection
from celery_recommender.client import Client
from celery_recommender.settings import Settings
from recommender_engine.errors import InvalidCommand
from tests.support.access import GuardedServer
from tests.support.command_line import call
from tests.support.processes import OwnerProcess
from tests.support.servers import running
from tests.support.waiting import wait_until

pytestmark = pytest.mark.server


def test_an_operator_deletes_a_collection_and_a_producer_cannot(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(running(GuardedServer(tmp_path / "server", "valkey-server")))

        def settings(role: str) -> Settings:
            return Settings(redis_url=server.url_of(role), state_dir=tmp_path / "state", result_backend="disabled")

        stack.enter_context(OwnerProcess(settings("worker"), tmp_path / "owner.log")).running()
        producer = Client(settings("producer"))
        stack.callback(producer.close)
        for n in range(3):
            last = producer.ingest(
                {"id": f"i{n}", "collection": "gone", "text": f"the lid is missing {n}"}, key=f"k{n}"
            )
        assert producer.outcome(last)["data"]["band"] != "new"

        with pytest.raises(NotPermitted, match=r"collection\.deleted is a command of owners and movers"):
            producer.delete_collection("gone")
        refused = call(settings("producer"), "delete-collection", "gone", "--yes")
        assert (refused.returncode, "may read the key" in refused.stderr) == (1, True), refused.stderr
        unasked = call(settings("worker"), "delete-collection", "gone")
        assert (unasked.returncode, "Aborted" in unasked.stderr) == (1, True), "nobody said yes"

        done = call(settings("worker"), "delete-collection", "gone", "--yes", "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["items"] == 3
        again = producer.ingest({"id": "i0", "collection": "gone", "text": "the lid is missing 1"}, key="k0")
        assert producer.outcome(again)["data"]["band"] == "new"
        last_one = call(settings("worker"), "delete-collection", "never", "--yes")
        assert "it had no items" in last_one.stdout
        wait_until(lambda: producer.log.length() == 0, "everything to be decided")


def test_a_deletion_is_not_taken_through_the_broker() -> None:
    task = DeleteCollection()
    objection = task.objection([{"collection": "gone"}], {})
    assert isinstance(objection, InvalidCommand)
    assert objection.code == "not_permitted"
