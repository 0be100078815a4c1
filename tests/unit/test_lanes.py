"""What becomes of outcomes that do not arrive: nothing waits for ever behind one of them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from celery.exceptions import QueueNotFound
from kombu.exceptions import OperationalError
from redis.exceptions import AuthenticationError, NoPermissionError, ReadOnlyError, ResponseError

from celery_recommender.broker.commands.encoding import CommandFields
from celery_recommender.owner.delivery.lanes import DeliveryLane, ResultLane, is_away
from celery_recommender.owner.delivery.threads import DeliveryJob, DeliveryThread, Failure, Job, ReplyJob
from recommender_engine.items import EntryId, decode_entry
from tests.support.waiting import wait_until

PROCESSED = "recommender.item.processed.v1"
NO_QUEUE = QueueNotFound("Queue 'celery' missing from task_queues")


def delivery(place: int, **data: Any) -> DeliveryJob:
    said = {"item_id": f"item {place}", "collection": "default", **data}
    return DeliveryJob(EntryId(place, 0), {"id": f"{place}-0", "type": PROCESSED, "data": said})


def reply(number: int) -> ReplyJob:
    return ReplyJob(number, f"task {number}", ({},), many=False)


class Road:
    """Takes all jobs but the ``stuck``, which fail with ``error``."""

    def __init__(self, error: Exception, stuck: set[Any] | None = None) -> None:
        self.error = error
        self.stuck = stuck
        self.attempts: list[Any] = []
        self.carried: list[Any] = []

    def __call__(self, jobs: Sequence[Job]) -> int:
        self.attempts.append(jobs[0].id)
        carried = 0
        for job in jobs:
            if self.stuck is None or job.id in self.stuck:
                break
            carried += 1
            self.carried.append(job.id)
        if not carried:
            raise self.error
        return carried


@pytest.fixture
def kept() -> list[CommandFields]:
    return []


@pytest.fixture
def lane(kept: list[CommandFields]) -> DeliveryLane:
    return DeliveryLane(kept.append, "shop.receive", patience_s=3600)


@pytest.fixture
def run() -> Iterator[Any]:
    started: list[DeliveryThread] = []

    def start(road: Road, lane: Any) -> DeliveryThread:
        delivery_thread = DeliveryThread(road, lane)
        delivery_thread.start()
        started.append(delivery_thread)
        return delivery_thread

    yield start
    for delivery_thread in started:
        delivery_thread.finish(0.0)


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (ConnectionRefusedError("refused"), True),
        (OperationalError("of some broker"), True),
        (ReadOnlyError("read only"), True),
        (ResponseError("MISCONF cannot write"), True),
        (NO_QUEUE, False),
        (NoPermissionError("this user has no permissions"), False),
        (ResponseError("WRONGTYPE of key"), False),
        (ValueError("too large"), False),
    ],
)
def test_an_unreachable_server_is_distinguished_from_permanent_errors(error: Exception, away: bool) -> None:
    assert is_away(error) is away
    wrapped = OperationalError("wrapped")
    wrapped.__cause__ = error
    assert is_away(wrapped) is (away or not isinstance(error, ResponseError | AuthenticationError))


def test_a_delivery_that_cannot_be_sent_is_a_letter_with_its_reason_and_the_rest_goes_on(
    run: Any, lane: DeliveryLane, kept: list[CommandFields], caplog: pytest.LogCaptureFixture
) -> None:
    road = Road(NO_QUEUE, {EntryId(2, 0)})
    delivery_thread = run(road, lane)
    delivery_thread.put([delivery(1), delivery(2), delivery(3)])
    wait_until(lambda: len(road.carried) == 2 and delivery_thread.room == 2048, "the others to be delivered", 5)
    assert road.carried == [EntryId(1, 0), EntryId(3, 0)]
    assert [job.id for job in delivery_thread.arrived()] == [EntryId(1, 0), EntryId(2, 0), EntryId(3, 0)]
    assert road.attempts.count(EntryId(2, 0)) == 3
    (fields,) = kept
    letter = json.loads(str(fields["data"]))
    assert letter["message"] == "shop.receive was not called: " + f"QueueNotFound: {NO_QUEUE}"
    assert json.loads(letter["payload"]) == delivery(2).event
    assert (letter["item_id"], letter["collection"]) == ("item 2", "default")
    command = decode_entry(EntryId(9, 0), str(fields["type"]), str(fields["data"]).encode()).command
    assert command.type == "message.refused", "the log takes it"
    shown = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert all("QueueNotFound" in line for line in shown), "also where a format shows no keys"


def test_while_nothing_arrives_one_attempt_at_each_is_enough(
    run: Any, lane: DeliveryLane, kept: list[CommandFields]
) -> None:
    road = Road(NO_QUEUE)
    run(road, lane).put([delivery(n) for n in range(1, 6)])
    wait_until(lambda: len(kept) == 5, "five letters", 10)
    assert len(road.attempts) == 3 + 4


def test_a_broker_that_is_away_is_waited_for_as_long_as_is_set(kept: list[CommandFields]) -> None:
    lane = DeliveryLane(kept.append, "shop.receive", patience_s=60)
    away = OperationalError("refused")
    assert not lane.failed(Failure(delivery(1), away, 1000, 59.9))
    assert kept == []
    assert lane.failed(Failure(delivery(1), away, 1001, 60.0))
    assert len(kept) == 1


def test_a_delivery_is_not_given_up_before_its_letter_is_kept(run: Any) -> None:
    refusals = [ConnectionError("away"), ConnectionError("away")]
    kept: list[CommandFields] = []

    def keep(fields: CommandFields) -> None:
        if refusals:
            raise refusals.pop()
        kept.append(fields)

    delivery_thread = run(Road(NO_QUEUE), DeliveryLane(keep, "shop.receive", 3600))
    delivery_thread.put([delivery(1)])
    wait_until(lambda: kept, "the letter", 10)
    wait_until(lambda: delivery_thread.room == 2048, "the job to be done with", 5)


def test_no_letter_is_written_of_a_letter(lane: DeliveryLane, kept: list[CommandFields]) -> None:
    event = {"id": "1-0", "type": "recommender.command.rejected.v1", "data": {"source": "delivery", "item_id": "a"}}
    assert lane.failed(Failure(DeliveryJob(EntryId(1, 0), event), NO_QUEUE, 3, 1.0))
    assert kept == []


@pytest.mark.parametrize("text", ["x" * 300_000, '"' * 120_000, "\u20ac" * 120_000])
def test_a_letter_of_a_large_event_is_one_that_the_log_takes(
    lane: DeliveryLane, kept: list[CommandFields], text: str
) -> None:
    assert lane.failed(Failure(delivery(1, explanation=text), NO_QUEUE, 3, 1.0))
    letter = json.loads(str(kept[0]["data"]))
    assert len(letter["payload"].encode()) < letter["payload_bytes"]
    assert len(str(kept[0]["data"]).encode()) < 262_144


def test_a_result_that_its_backend_does_not_take_holds_up_no_other(run: Any) -> None:
    forgotten: list[str] = []
    road = Road(ValueError("larger than the backend takes"), {2})
    delivery_thread = run(road, ResultLane("results", forgotten.append))
    delivery_thread.put([reply(n) for n in range(1, 50)])
    wait_until(lambda: len(road.carried) == 48, "the others to be told", 5)
    assert forgotten == []
    lane = ResultLane("results", forgotten.append)
    assert lane.failed(Failure(reply(2), road.error, 20, 90.0))
    assert not lane.failed(Failure(reply(3), ConnectionError("away"), 10_000, 90_000.0)), (
        "a backend may be away for long"
    )
    assert forgotten == ["task 2"]


def test_lanes_do_not_wait_for_each_other(run: Any, lane: DeliveryLane) -> None:
    stuck, free = Road(OperationalError("refused")), Road(ValueError("never"), set())
    deliveries, results = run(stuck, lane), run(free, ResultLane("results", str))
    deliveries.put([delivery(1)])
    wait_until(lambda: stuck.attempts, "the delivery to fail", 5)
    results.put([reply(1)])
    wait_until(lambda: free.carried == [1], "the result", 5)
    told = deliveries.facts()
    assert (told["waiting"], told["reason"]) == (1, "OperationalError: refused")
    assert results.facts() == {"waiting": 0}
