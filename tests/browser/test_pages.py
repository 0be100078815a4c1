"""The pages in a browser: what they show, what they load, how they are reached and read."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from celery_recommender.web.security.users import Role, User, UsersFile, hashed
from tests.browser.conftest import Watched, World, sample_items, shot
from tests.support.command_line import call
from tests.support.pages import served
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.server, pytest.mark.browser]

BANDS = ("duplicate", "review", "similar", "new")
EVIL = "<script>alert(1)</script>"
HTML = '<html><body><p>Broken <b>kettle</b></p><img src="http://192.0.2.7/x.png" onerror="alert(2)"></body></html>'
PAGES = {
    "overview": ("/", ".collection"),
    "review": ("/review?collection=tickets", "#card[data-card]"),
    "items": ("/items?collection=tickets&band=review", ".hit"),
    "search": ("/search?collection=tickets&q=cannot+log+in", ".hit"),
    "compare": ("/compare?collection=tickets", "textarea"),
    "item": ("/item?collection=tickets&id=T-1157", ".side"),
    "group": ("/group?collection=tickets&id=T-1157", ".hit"),
    "feed": ("/feed", "#feed-empty"),
    "answers": ("/answers?collection=tickets", "h1"),
    "letters": ("/letters", "h1"),
    "bulk": ("/review/bulk?collection=tickets&percent=60", ".hit, .empty"),
    "settings": ("/settings?collection=tickets", "#preview"),
    "pictures": ("/map?collection=tickets", ".picture"),
    "files": ("/files?collection=tickets", "h1"),
}
CONTROLS = """[...document.querySelectorAll("a, button, input:not([type=hidden]), select, textarea, summary")]
    .filter((one) => one.checkVisibility())"""
FOCUSED = f"""() => [{CONTROLS}.indexOf(document.activeElement),
    getComputedStyle(document.activeElement).outlineStyle]"""


def opened(page: Page, name: str) -> None:
    address, there = PAGES[name]
    page.goto(address)
    expect(page.locator(there).first).to_be_attached()
    expect(page.locator("#status .owner.running")).to_be_visible()


def test_the_overview_agrees_with_the_worker(page: Page, world: World) -> None:
    opened(page, "overview")
    expect(page.locator(".collection")).to_have_count(2)
    for one in world.client.overview()["collections"]:
        card = page.locator(f'.collection[data-name="{one["name"]}"]')
        shown = {
            str(band.get_attribute("data-band")): int(band.inner_text()) for band in card.locator("[data-band]").all()
        }
        assert shown == one["bands"]
    page.goto("/?lang=de")
    expect(page.locator("h1")).to_have_text("Übersicht")
    page.goto("/")
    expect(page.locator("h1")).to_have_text("Übersicht")  # the choice is kept


def test_a_search_lists_what_the_command_line_lists(page: Page, world: World) -> None:
    page.goto("/search?collection=tickets")
    page.keyboard.type("cannot log in")
    page.keyboard.press("Enter")
    expect(page.locator(".hit").first).to_be_visible()
    shown = [hit.get_attribute("data-id") for hit in page.locator(".hit").all()]
    asked = call(world.settings, "search", "cannot log in", "--collection", "tickets", "--limit", "20", "--json")
    assert shown == [hit["id"] for hit in json.loads(asked.stdout)]
    page.goto("/items?collection=tickets")
    expect(page.locator(".hit")).to_have_count(50)
    page.get_by_role("button", name="More").click()
    expect(page.locator(".hit")).to_have_count(100)


def test_marked_texts_are_those_that_the_reasons_name(page: Page, world: World) -> None:
    opened(page, "item")
    view = world.client.ask("recommender.get", "T-1157", collection="tickets")
    sides = {"here_at": view, "there_at": world.client.ask("recommender.get", view["matched_id"], collection="tickets")}
    for place, (side, item) in enumerate(sides.items()):
        text = item["compared"] or item["text"]
        named = {text[start:end] for reason in view["reasons"] for start, end in reason["detail"].get(side, ())}
        marked = set(page.locator(".side").nth(place).locator("mark").all_inner_texts())
        assert named
        assert marked <= named
        assert all(any(one in found for found in marked) for one in named)
        assert page.locator(".side").nth(place).locator(".text").inner_text() == text


def test_texts_stay_texts(page: Page, world: World, watched: Watched) -> None:
    for id_, text in (("evil", EVIL), ("html", HTML)):
        item = {
            "id": id_,
            "collection": "odd",
            "fields": {"title": f"{EVIL} {id_}", "body": text},
            "attributes": {EVIL: EVIL},
        }
        world.client.outcome(world.client.ingest(item))
    for id_, there, text in (("evil", ".text", EVIL), ("html", "details .text", HTML)):
        page.goto(f"/item?collection=odd&id={id_}")
        page.locator("summary").last.click()
        expect(page.locator(there).first).to_contain_text(text)
    page.goto("/items?collection=odd")
    expect(page.locator(".hit")).to_have_count(2)
    assert page.locator("main script, main img").count() == 0
    policy = page.request.get("/items?collection=odd").headers["content-security-policy"]
    assert "unsafe" not in policy
    assert watched.faults == []
    world.client.outcome(world.client.delete("html", "odd"))


def test_an_event_is_in_the_feed_at_once_and_a_burst_stays_bounded(page: Page, world: World) -> None:
    page.goto("/feed")
    expect(page.locator("#feed[data-open]")).to_be_attached()
    world.client.outcome(world.client.ingest({"id": "L-1", "collection": "live", "text": "The first of the day"}))
    expect(page.locator('#feed a:text-is("L-1")').first).to_be_visible()
    items = [
        {"id": f"L-{n}", "collection": "live", "text": f"Lamp {n} is broken in room {n % 37}"} for n in range(2, 1002)
    ]
    position = world.client.ingest_many(items)[-1]
    page.get_by_label("Collection").fill("still quick")
    assert page.locator("#feed > li").count() <= 200
    world.client.outcome(position, timeout_s=120)
    expect(page.locator('#feed a:text-is("L-1001")').first).to_be_visible()
    assert page.locator("#feed > li").count() == 200
    shot(page, "feed")


def test_letters_are_sent_again_and_dropped(page: Page, world: World) -> None:
    for number in range(2):
        world.client.outcome(world.client.send("item.upsert", {"id": f"D{number}", "text": EVIL, "wrong": 1}))
    length = world.client.redis.xlen
    wait_until(lambda: length(world.client.keys.dead_letters) == 2, "the letters")
    page.goto("/letters")
    page.locator("tbody a").first.click()
    expect(page.locator(".payload")).to_contain_text("alert(1)")
    shot(page, "letter")
    page.get_by_role("button", name="Drop").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.locator("tbody a").first.click()
    page.get_by_role("button", name="Send again").click()
    page.wait_for_url("**/letters")
    wait_until(lambda: length(world.client.keys.dead_letters) == 1, "it to be rejected again")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_serious_defect_of_accessibility(
    chromium: Browser, world: World, axe: str, watched: Watched, scheme: Any
) -> None:
    context = chromium.new_context(
        base_url=world.address, viewport={"width": 1200, "height": 800}, color_scheme=scheme, bypass_csp=True
    )
    page = context.new_page()
    watched.watch(page)
    found = []
    for name in PAGES:
        opened(page, name)
        shot(page, f"{name}-{scheme}")
        page.evaluate(axe)
        result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        found += [
            (name, one["id"], one["nodes"][0]["html"][:120])
            for one in result["violations"]
            if one["impact"] in {"serious", "critical"}
        ]
    context.close()
    assert found == []


def test_a_telephone_shows_every_page_without_scrolling_sideways(chromium: Browser, world: World) -> None:
    context = chromium.new_context(base_url=world.address, viewport={"width": 360, "height": 740})
    page = context.new_page()
    wide = {}
    for name in PAGES:
        opened(page, name)
        wide[name] = page.evaluate("document.documentElement.scrollWidth")
        if name in {"overview", "review", "settings", "pictures"}:
            shot(page, f"{name}-360")
    context.close()
    assert {name: width for name, width in wide.items() if width > 360} == {}


def test_everything_is_reached_by_tab_and_seen_where_it_is(page: Page) -> None:
    for name in ("review", "items", "group"):
        opened(page, name)
        wanted = page.evaluate(f"{CONTROLS}.length")
        reached = set()
        for _ in range(wanted + 15):
            page.keyboard.press("Tab")
            place, outline = page.evaluate(FOCUSED)
            assert place < 0 or outline != "none", "where the focus is can be seen"
            reached.add(place)
        assert len(reached - {-1}) == wanted, name


def then(page: Page) -> dict[str, int]:
    return {band: int(page.locator(f'[data-then="{band}"]').inner_text()) for band in BANDS}


def test_the_slider_says_at_once_what_tune_says_and_changes_nothing_until_it_is_saved(page: Page, world: World) -> None:
    page.goto("/settings?collection=products")
    before = world.client.preview("products")
    assert before is not None
    assert then(page) == before["bands"], "where it stands nothing would change"
    for target in (0.9, 0.99):
        with page.expect_response("**/settings/preview?**"):
            page.get_by_label("Precision of flagged duplicates").fill(str(round(target * 1000)))
        expect(page.locator("#preview .chosen")).to_contain_text(f"{target * 100:.1f}")
        asked = {"target_precision": target}
        now, moved = world.client.preview("products", target_precision=0.95), world.client.preview("products", **asked)
        assert now is not None
        assert moved is not None
        expected = {band: now["bands"][band] + moved["preview"][band] - now["preview"][band] for band in BANDS}
        assert then(page) == {band: max(0, count) for band, count in expected.items()}
    with page.expect_response("**/settings/preview?**"):
        page.get_by_label("Precision of flagged duplicates").fill("900")
    page.get_by_role("button", name="Replay exactly").click()
    expect(page.locator("#job.done")).to_be_visible(timeout=60_000)
    replayed = {band: int(page.locator(f'[data-replayed="{band}"]').inner_text()) for band in BANDS}
    tuned = call(world.settings, "tune", "products", "target_precision=0.9", "--json")
    assert replayed == json.loads(tuned.stdout)["bands"]["then"]
    expect(page.locator("#preview .chosen")).to_contain_text("90.0")
    off = {band: abs(count - replayed[band]) for band, count in then(page).items()}
    assert max(off.values()) <= 0.05 * sum(replayed.values()), "groups and the budget alone tell them apart"
    shot(page, "settings-replayed")
    assert world.client.preview("products")["settings"] == before["settings"], "nothing is changed"  # type: ignore[index]
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**/settings?collection=products")
    after = world.client.preview("products")
    assert after is not None
    assert after["settings"] == {**before["settings"], "target_precision": 0.9}, "all others are kept"


def test_a_map_is_drawn(page: Page) -> None:
    page.goto("/map?collection=tickets")
    page.get_by_role("button", name="Draw the map").click()
    expect(page.locator("svg.plane circle").first).to_be_visible(timeout=60_000)
    assert page.locator("svg.plane circle").count() > 300
    shot(page, "map")


def test_a_german_file_goes_up_and_comes_back(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "Störungen März.csv"
    rows = sample_items("tickets")[:300]
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";", lineterminator="\r\n")
    writer.writerow(["Nummer", "Betreff", "Beschreibung", "Erstellt am"])
    for number, one in enumerate(rows):
        fields = one["fields"]
        moment = f"{1 + number % 28:02d}.03.2026 07:{number % 60:02d}"
        writer.writerow([one["id"], fields["title"], f"{fields['description']} Grüße, Jörg", moment])
    file.write_bytes(out.getvalue().encode("cp1252", "replace"))
    page.goto("/files?collection=upload")
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Upload").click()
    expect(page.locator(".lead")).to_contain_text("300 rows")
    assert page.locator("select[name=time_field]").input_value() == "Erstellt am"
    expect(page.locator(".hit time").first).to_have_text("2026-03-01 07:00:00 UTC")
    shot(page, "file-draft")
    with page.expect_response("**/file/columns"):
        page.locator('input[name=texts][value="Betreff"]').uncheck()
    expect(page.locator(".hit .first")).to_have_count(0)
    with page.expect_response("**/file/columns"):
        page.locator('input[name=texts][value="Betreff"]').check()
    expect(page.locator(".hit .first").first).to_be_visible()
    page.get_by_role("button", name="Send 300 rows").click()
    expect(page.locator("#job.done")).to_be_visible(timeout=60_000)
    shot(page, "file-done")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename.startswith("enriched-St")
    text = Path(download.value.path()).read_bytes().decode("cp1252")
    enriched = list(csv.DictReader(io.StringIO(text), delimiter=";"))
    assert [row["Nummer"] for row in enriched] == [one["id"] for one in rows]
    assert {row["error"] for row in enriched} == {""}
    assert {row["band"] for row in enriched} >= {"duplicate", "review", "similar"}


def test_groups_are_merged_and_split_and_a_contradiction_shows_its_chain(
    page: Page, world: World, watched: Watched
) -> None:
    texts = (
        "A red lamp flickers",
        "The cellar smells of gas",
        "My order 4711 never came",
        "Password reset mail is late",
    )
    for number, text in enumerate(texts, start=1):
        world.client.outcome(world.client.ingest({"id": f"G-{number}", "collection": "grouping", "text": text}))
    merged = page.get_by_label("Merge with the group of this item")

    def merge(other: str) -> None:
        merged.fill(other)
        page.get_by_role("button", name="Merge", exact=True).click()

    page.goto("/group?collection=grouping&id=G-1")
    merge("G-2")
    expect(page.locator(".members .hit")).to_have_count(2)
    seen = json.loads(call(world.settings, "get", "G-2", "--collection", "grouping", "--json").stdout)
    assert seen["duplicate_of"] == "G-1"
    world.client.outcome(world.client.feedback("G-2", "different", "G-4", collection="grouping"))
    merge("G-4")
    expect(page.locator(".chain li")).to_have_count(2)
    expect(page.get_by_text("This contradicts earlier answers.")).to_be_visible()
    shot(page, "contradiction")
    assert all("409 (Conflict)" in fault for fault in watched.faults)
    watched.faults.clear()
    page.locator(".chain li", has_text="G-4").get_by_role("button", name="Take back").click()
    page.wait_for_url("**/answers?collection=grouping")
    page.goto("/group?collection=grouping&id=G-1")
    merge("G-4")
    expect(page.locator(".members .hit")).to_have_count(3)
    flagged = world.client.list_items("tickets", ["duplicate"], limit=1)
    assert flagged is not None
    id_, original = (flagged["items"][0][name] for name in ("id", "duplicate_of"))
    page.goto(f"/group?collection=tickets&id={original}")
    page.locator(f'.members [data-id="{id_}"]').get_by_role("button", name="Split off").click()
    page.wait_for_url(f"**/group?collection=tickets&id={id_}")
    apart = json.loads(call(world.settings, "get", id_, "--collection", "tickets", "--json").stdout)
    assert apart["duplicate_of"] != original


def test_who_may_only_look_finds_nothing_to_press(chromium: Browser, world: World, tmp_path: Path) -> None:
    users = UsersFile(tmp_path / "users.json")
    users.put("look", User(password=hashed("correct horse"), role=Role.LOOK, collections=("tickets",)))
    with served(world.settings.replaced(web_users=users.path)) as address:
        context = chromium.new_context(base_url=address)
        page = context.new_page()
        page.goto("/item?collection=tickets&id=T-1157")
        page.get_by_label("User").fill("look")
        page.get_by_label("Password").fill("correct horse")
        page.keyboard.press("Enter")
        expect(page.locator(".collection")).to_have_count(1)
        for address_ in (
            "/item?collection=tickets&id=T-1157",
            "/settings?collection=tickets",
            "/files?collection=tickets",
        ):
            page.goto(address_)
            assert page.locator("main form[method=post] button:not([hidden])").count() == 0, address_
        answer = {"collection": "tickets", "one": "T-1", "other": "T-2", "answer": "same", "key": "a" * 32}
        assert page.request.post("/answer", form=answer).status == 403
        assert page.request.get("/items?collection=products").status == 403
        context.close()
