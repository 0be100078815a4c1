from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from celery_recommender.owner.delivery.threads import CAPACITY, DeliveryJob, DeliveryThread, Failure, Job, Lane
from recommender_engine.items import EntryId
from tests.support.waiting import wait_until


def jobs(*places: int) -> list[Job]:
    return [DeliveryJob(EntryId(place, 0), {}) for place in places]


class Road:
    """A way that is closed until it is opened."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.open = is_open
        self.attempts = 0
        self.at_once = 100
        self.most = 0
        self.pause_s = 0.0
        self.carried: list[int] = []

    def carry(self, jobs: Sequence[Job]) -> int:
        self.attempts += 1
        self.most = max(self.most, len(jobs))
        time.sleep(self.pause_s)
        if not self.open:
            raise ConnectionError("closed")
        arrived = jobs[: self.at_once]
        self.carried += [job.id.ms for job in arrived if isinstance(job, DeliveryJob)]
        return len(arrived)


class PatientLane:
    """Tries each job until it arrives."""

    name = "test"
    longest_wait_s = 10.0

    def failed(self, failure: Failure) -> bool:
        return False

    def let_pass(self, failure: Failure) -> bool:
        return False


@pytest.fixture
def road() -> Road:
    return Road()


@pytest.fixture
def lane() -> Lane:
    return PatientLane()


@pytest.fixture
def delivery_thread(road: Road, lane: Lane) -> Iterator[DeliveryThread]:
    delivery_thread = DeliveryThread(road.carry, lane)
    delivery_thread.start()
    yield delivery_thread
    delivery_thread.finish(0.1)
    delivery_thread.join(5)
    assert not delivery_thread.is_alive()


def test_jobs_are_carried_in_order(delivery_thread: DeliveryThread, road: Road) -> None:
    delivery_thread.put(jobs(1, 2))
    delivery_thread.put(jobs(3))
    wait_until(lambda: len(road.carried) == 3, "three jobs to be carried", 5)
    assert road.carried == [1, 2, 3]


def test_arrived_results_are_noted_once(delivery_thread: DeliveryThread, road: Road) -> None:
    delivery_thread.put(jobs(1, 2))
    wait_until(lambda: delivery_thread.room == CAPACITY and len(road.carried) == 2, "the jobs to be carried", 5)
    assert delivery_thread.arrived() == jobs(1, 2)
    assert delivery_thread.arrived() == []


def test_a_job_is_tried_until_it_arrives(delivery_thread: DeliveryThread, road: Road) -> None:
    road.open = False
    delivery_thread.put(jobs(1, 2))
    wait_until(lambda: road.attempts >= 2, "a second attempt", 5)
    assert road.carried == delivery_thread.arrived() == []
    road.open = True
    wait_until(lambda: road.carried == [1, 2], "both to be carried", 5)


def test_of_several_jobs_those_that_did_not_arrive_are_carried_again(
    delivery_thread: DeliveryThread, road: Road
) -> None:
    road.at_once = 3
    delivery_thread.put(jobs(*range(50)))
    wait_until(lambda: len(road.carried) == 50, "all to be carried", 5)
    assert road.carried == list(range(50))
    assert road.attempts > 50 // 3


def test_room_shrinks_with_what_waits(delivery_thread: DeliveryThread, road: Road) -> None:
    road.open = False
    assert delivery_thread.room == CAPACITY
    delivery_thread.put(jobs(*range(400)))
    assert delivery_thread.room == CAPACITY - 400
    delivery_thread.put(jobs(*range(CAPACITY)))
    assert delivery_thread.room == 0


def test_few_are_carried_at_once(delivery_thread: DeliveryThread, road: Road) -> None:
    delivery_thread.put(jobs(*range(50)))
    wait_until(lambda: len(road.carried) == 50, "all to be carried", 5)
    assert road.most == 16


def test_after_the_time_to_finish_nothing_more_is_carried(delivery_thread: DeliveryThread, road: Road) -> None:
    road.at_once, road.pause_s = 1, 0.2
    delivery_thread.put(jobs(*range(50)))
    wait_until(lambda: road.carried, "the first to be carried", 5)
    delivery_thread.finish(0)
    delivery_thread.join(5)
    assert not delivery_thread.is_alive()
    assert len(road.carried) < 10


def test_finish_carries_what_is_there(delivery_thread: DeliveryThread, road: Road) -> None:
    delivery_thread.put(jobs(*range(50)))
    delivery_thread.finish(5)
    assert road.carried == list(range(50))
    assert not delivery_thread.is_alive()


def test_finish_gives_up_in_time(delivery_thread: DeliveryThread, road: Road) -> None:
    road.open = False
    delivery_thread.put(jobs(1))
    started = time.monotonic()
    delivery_thread.finish(0.2)
    delivery_thread.join(5)
    assert not delivery_thread.is_alive()
    assert time.monotonic() - started < 2
    assert delivery_thread.arrived() == []


def test_a_running_job_is_not_reported_before_it_has_arrived() -> None:
    taken, given = threading.Event(), threading.Event()

    def carry(jobs: Sequence[Job]) -> int:
        taken.set()
        assert given.wait(5)
        return len(jobs)

    delivery_thread = DeliveryThread(carry, PatientLane())
    delivery_thread.start()
    delivery_thread.put(jobs(1))
    assert taken.wait(5)
    assert delivery_thread.arrived() == []
    given.set()
    delivery_thread.finish(5)
    assert delivery_thread.arrived() == jobs(1)


def test_a_defect_in_a_lane_reaches_the_owner(road: Road) -> None:
    class Defective(PatientLane):
        def let_pass(self, failure: Failure) -> bool:
            raise ZeroDivisionError("a defect")

    road.open = False
    delivery_thread = DeliveryThread(road.carry, Defective())
    delivery_thread.start()
    delivery_thread.put(jobs(1))
    delivery_thread.join(5)
    assert not delivery_thread.is_alive()
    with pytest.raises(ZeroDivisionError, match="a defect"):
        delivery_thread.check()
