"""Full garbage collections come by the clock, and by it alone."""

from __future__ import annotations

import gc
import weakref

from celery_recommender.owner.interpreter.garbage import collected_by_the_clock
from tests.support.waiting import wait_until


class Circle:
    """Refers to itself, so that only a collection lets go of it."""

    def __init__(self) -> None:
        self.myself = self


def old_circle() -> weakref.ref[Circle]:
    """One that lived long enough to be looked at in full collections only; nobody has it any more."""
    circle = Circle()
    for generation in (0, 1):
        gc.collect(generation)
    return weakref.ref(circle)


def many_objects() -> list[list[int]]:
    """So many that Python would make full collections on their account."""
    return [[number] for number in range(1_000_000)]


def test_by_itself_python_collects_what_is_old() -> None:
    found = old_circle()
    assert many_objects()
    assert found() is None


def test_what_is_old_goes_when_it_is_time() -> None:
    with collected_by_the_clock(every_s=0.05):
        found = old_circle()
        wait_until(lambda: found() is None, "a full collection")


def test_what_is_old_does_not_go_by_count() -> None:
    before = gc.get_threshold()
    with collected_by_the_clock():
        found = old_circle()
        kept = many_objects()
        assert found() is not None
        assert kept
    assert gc.get_threshold() == before
