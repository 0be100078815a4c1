"""The review queue in a browser, by keyboard alone."""

from __future__ import annotations

import os
import pwd
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from recommender_engine.items import START
from tests.browser.conftest import Watched, World, shot
from tests.support.command_line import command, environment
from tests.support.servers import free_port
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.server, pytest.mark.browser]

ACCEPTED = "recommender.feedback.accepted.v1"
PAIRS = 20
KEYS = {"s": "same", "d": "different", "u": "unsure"}


def card(page: Page, before: str = "none") -> tuple[str, tuple[str, str]]:
    """The pair that is shown, once it is another card than ``before``."""
    shown = page.locator(f'#card[data-card]:not([data-card="{before}"])')
    expect(shown).to_be_visible()
    one, other, key = (shown.get_attribute(f"data-{name}") for name in ("one", "other", "card"))
    assert one
    assert other
    assert key
    return key, (one, other)


def accepted(world: World) -> list[dict[str, Any]]:
    return [event["data"] for event in world.client.events_so_far(START) if event["type"] == ACCEPTED]


def groups(world: World, *ids: str) -> list[str]:
    return [view["group"] for view in world.client.ask("recommender.get", list(ids), collection="tickets")]


def test_twenty_pairs_are_answered_by_keyboard_alone(
    page: Page, world: World, record_property: Callable[[str, object], None]
) -> None:
    page.goto("/review?collection=tickets")
    key, pair = card(page)
    shot(page, "review")
    given, seconds = [], []
    for number in range(PAIRS):
        pressed = "dus"[number % 3] if number else "d"
        began = time.perf_counter()
        page.keyboard.press(pressed)
        following, next_pair = card(page, key)
        seconds.append(time.perf_counter() - began)
        given.append((*pair, KEYS[pressed]))
        key, pair = following, next_pair
    record_property("median_key_to_next_card_ms", round(statistics.median(seconds) * 1000))
    found = accepted(world)
    assert [(one["item_id"], one["other_id"], one["answer"]) for one in found] == given
    assert {one["by"] for one in found} == {pwd.getpwuid(os.geteuid()).pw_name}
    assert len({(one, other) for one, other, _ in given}) == PAIRS, "no pair came twice"


def test_undo_brings_the_pair_and_its_groups_back(page: Page, world: World) -> None:
    page.goto("/review?collection=tickets")
    key, pair = card(page)
    before = groups(world, *pair)
    page.keyboard.press("s")
    key, following = card(page, key)
    assert following != pair
    assert len(set(groups(world, *pair))) == 1
    page.keyboard.press("z")
    key, back = card(page, key)
    assert back == pair
    assert groups(world, *pair) == before
    page.keyboard.press("n")
    assert card(page, key)[1] != pair, "skipped"


def test_a_letter_in_a_field_is_no_answer(page: Page, world: World) -> None:
    count = len(accepted(world))
    page.goto("/review?collection=tickets")
    key, _ = card(page)
    page.get_by_label("Collection").focus()
    page.keyboard.type("sdu")
    page.get_by_role("heading", name="Are these the same?").click()
    page.keyboard.press("n")
    card(page, key)
    assert len(accepted(world)) == count


def test_two_browsers_share_the_queue(chromium: Browser, page: Page, world: World, watched: Watched) -> None:
    page.goto("/review?collection=products")
    key, mine = card(page)
    other_context = chromium.new_context(base_url=world.address)
    other = other_context.new_page()
    watched.watch(other)
    other.goto("/review?collection=products")
    _, theirs = card(other)
    assert theirs != mine
    redis = world.client.redis
    for name in redis.keys(f"{world.client.keys.web}claim:*"):
        if b'"claimed"' in (redis.get(name) or b""):
            redis.delete(name)  # as after their end
    other.reload()
    _, taken = card(other)
    assert taken == mine, "the first pair is free again"
    expect(page.get_by_role("alert")).to_contain_text("has it now")
    assert card(page, key)[1] != mine, "the other browser's card left"
    other_context.close()


def test_a_killed_worker_is_told_and_the_page_goes_on_by_itself(
    page: Page, world: World, record_property: Callable[[str, object], None]
) -> None:
    count = len(accepted(world))
    page.goto("/review?collection=tickets")
    key, pair = card(page)
    began = time.perf_counter()
    world.owner.signal(signal.SIGKILL)
    expect(page.locator("#status .owner.silent, #status .owner.away")).to_be_visible()
    record_property("kill_to_told_s", round(time.perf_counter() - began, 1))
    page.keyboard.press("d")
    expect(page.locator("#card.away-card")).to_be_visible()
    shot(page, "worker-away")
    world.owner.wait()
    world.owner.running()
    key, following = card(page, key)
    assert following != pair
    page.keyboard.press("n")
    assert card(page, key)[1] != following, "keys work as before"
    given = wait_until(lambda: accepted(world)[count:], "the answer to be decided")
    assert [(one["item_id"], one["other_id"], one["answer"]) for one in given] == [(*pair, "different")]


def test_a_killed_redis_is_told_and_an_answer_given_meanwhile_counts_once(page: Page, world: World) -> None:
    count = len(accepted(world))
    page.goto("/review?collection=tickets")
    key, pair = card(page)
    world.server.kill()
    expect(page.locator("#status .owner.unreachable")).to_be_visible()
    page.keyboard.press("d")
    expect(page.locator("#card.away-card")).to_contain_text("It is tried again")
    shot(page, "redis-away")
    world.server.start()
    _, following = card(page, key)
    assert following != pair
    given = wait_until(lambda: accepted(world)[count:], "the answer to be decided")
    assert [(one["item_id"], one["other_id"], one["answer"]) for one in given] == [(*pair, "different")]


def test_a_killed_page_says_so_and_its_next_process_goes_on(chromium: Browser, world: World) -> None:
    count, port = len(accepted(world)), free_port()
    context = chromium.new_context(base_url=f"http://127.0.0.1:{port}")
    page = context.new_page()
    with serving(world, port) as process:
        page.goto("/review?collection=tickets")
        key, pair = card(page)
        process.kill()
        process.wait(20)
        page.keyboard.press("d")
        expect(page.locator("#offline")).to_be_visible()
    with serving(world, port):
        expect(page.locator("#offline")).to_be_hidden()
        assert card(page)[1] == pair, "the pair is still there"
        page.keyboard.press("d")
        _, following = card(page, key)
        assert following != pair
    context.close()
    given = wait_until(lambda: accepted(world)[count:], "the answer to be decided")
    assert [(one["item_id"], one["other_id"], one["answer"]) for one in given] == [(*pair, "different")]


@contextmanager
def serving(world: World, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the page on a port, until it ends."""

    def answers() -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{port}/static/icon.svg").is_success
        return False

    process = subprocess.Popen(command("web", "--port", str(port)), env=environment(world.settings))
    try:
        wait_until(answers, "the page to answer", 60)
        yield process
    finally:
        process.terminate()
        process.wait(20)
