"""Files, settings and pictures of the page over plain HTTP: a real server and a real worker behind it."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from celery_recommender.client import Client
from celery_recommender.settings import Settings
from celery_recommender.web.jobs import enriching
from celery_recommender.web.jobs import store as store_module
from celery_recommender.web.jobs.runner import Failed, Runner, Work
from celery_recommender.web.jobs.store import MOST_ATTEMPTS, Job, JobStore, NoRoom
from celery_recommender.web.security.users import Role, User, UsersFile, hashed
from celery_recommender.web.service.service import Service
from recommender_engine.items import START
from tests.integration.conftest import Owners
from tests.support.pages import Browser, Elements, served
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.server, pytest.mark.parametrize("server", ["embedded"], indirect=True)]

MIB = 1 << 20
ROWS = 100
PROCESSED = "recommender.item.processed.v1"


def german_file(rows: int = ROWS) -> bytes:
    """As Excel writes it: semicolons, cp1252, dates with dots; each tenth row repeats the one before."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";", lineterminator="\r\n")
    writer.writerow(["Nummer", "Betreff", "Beschreibung", "Erstellt am"])
    for row in range(rows):
        about = row - 1 if row % 10 == 9 else row
        text = f"Der Kessel {about} für Küche {about * 7} läuft aus, Gehäuse {about * 13} gebrochen"
        writer.writerow([f"R{row}", f"Kessel {about} läuft aus", text, f"{1 + row % 28:02d}.03.2026 07:{row % 60:02d}"])
    return out.getvalue().encode("cp1252")


@pytest.fixture
def store(client: Client) -> JobStore:
    return JobStore(client.redis, client.keys.web, 4 * MIB, 1.0)


@pytest.fixture
def browser(settings: Settings) -> Iterator[Browser]:
    with served(settings) as address, Browser(address) as opened:
        yield opened


def uploaded(browser: Browser, content: bytes, name: str = "tickets.csv", collection: str = "lead") -> str:
    """Upload a file; the page behind it, which shows what it holds."""
    token = re.search(r'"X-CSRF-Token": "([0-9a-f]+)"', browser.page("/files"))
    assert token is not None
    done = browser.post("/files", data={"csrf": token[1], "collection": collection}, files={"file": (name, content)})
    assert done.status_code == 200, done.text
    return done.text


def id_of(page: str) -> str:
    found = re.search(r'name="id" value="([0-9a-f]{32})"', page)
    assert found is not None
    return found[1]


def chosen(page: str) -> dict[str, Any]:
    """The columns that the form of a draft has chosen."""
    fields: dict[str, Any] = {"texts": [], "attributes": []}
    name = ""
    for tag, given, _ in Elements(page).found:
        name = str(given.get("name")) if tag == "select" else name
        if tag == "option" and "selected" in given:
            fields[name] = given["value"]
        if tag == "input" and "checked" in given:
            fields[str(given["name"])].append(given["value"])
    return fields


def job_of(store: JobStore, id_: str) -> Job:
    job = store.get(id_)
    assert job is not None
    return job


def ended(store: JobStore, id_: str) -> Job:
    wait_until(lambda: job_of(store, id_).ended, "the job to end", 60)
    return job_of(store, id_)


def test_a_file_comes_back_with_a_verdict_in_each_row(
    owner_process: Owners, client: Client, browser: Browser, store: JobStore
) -> None:
    owner_process().running()
    page = uploaded(browser, german_file(), "C:\\Berichte\\März tickets.csv")
    assert "100 rows, read as CSV, cp1252" in page
    assert "--" not in Elements(page).texts("p", "lead")[0]
    columns = chosen(page)
    assert columns == {
        "id_field": "Nummer",
        "time_field": "Erstellt am",
        "texts": ["Betreff", "Beschreibung"],
        "attributes": [],
    }
    assert "2026-03-01 07:00:00" in page, "the dates are understood"
    id_ = id_of(page)
    browser.give("/file/columns", id=id_, **{**columns, "start": "true"})
    job = ended(store, id_)
    assert (job.state, job.result["rows"], job.result["failed"]) == ("done", ROWS, 0)
    assert job.result["bands"]["duplicate"] >= 5
    done = browser.page("/file", id=id_)
    assert f">{job.result['bands']['duplicate']}<" in done
    found = browser.get("/file/result", params={"id": id_})
    assert "attachment" in found.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(found.content.decode("cp1252")), delimiter=";"))
    assert [row["Nummer"] for row in rows] == [f"R{row}" for row in range(ROWS)]
    assert {row["error"] for row in rows} == {""}
    assert rows[9]["duplicate_of"] == "R8"
    view = client.ask("recommender.get", "R9", collection="lead")
    assert view["band"] == rows[9]["band"]
    browser.give("/file/delete", id=id_)
    assert "no such file" in browser.page("/file", 404, id=id_)


def test_another_process_goes_on_with_the_file_of_a_killed_one(
    owner_process: Owners, client: Client, settings: Settings, store: JobStore
) -> None:
    owner_process().running()
    content = german_file()
    draft = enriching.draft_of(content, "t.csv", {}, "lead")
    columns = {"id": draft.id_field, "texts": ["Betreff"], "attributes": [], "time": draft.timestamp_field}
    options = {"name": "t.csv", "columns": columns, "rows": draft.rows}
    job = store.add(enriching.KIND, "lead", "ann", "waiting", options)
    store.keep(job.id, "given", content)
    service = Service(settings, client)

    class Killed(BaseException):
        pass

    class Dying(Work):
        def tell(self, step: str, done: int, total: int, progress: dict[str, Any] | None = None) -> None:
            raise Killed  # the first block is in the stream, and not noted

    taken = store.take(job, "killed")
    assert taken is not None
    with pytest.raises(Killed):
        enriching.enriching(service)(Dying(taken, store, "killed", Runner(store, {})._stopping))
    runner = Runner(store, {enriching.KIND: enriching.enriching(service)})
    runner.start()
    assert not job_of(store, job.id).ended
    client.redis.delete(f"{client.keys.web}held:{job.id}")  # as after its end
    assert ended(store, job.id).state == "done"
    runner.stop()
    decided = Counter(event["data"]["item_id"] for event in client.events_so_far(START) if event["type"] == PROCESSED)
    assert decided == dict.fromkeys((f"R{row}" for row in range(ROWS)), 1), "each row once"


def test_a_job_that_kills_its_process_is_given_up_and_one_without_a_worker_waits(
    client: Client, settings: Settings, store: JobStore
) -> None:
    job = store.add("bad", "lead", "ann", "waiting")
    for number in range(MOST_ATTEMPTS):
        assert store.take(job, f"process {number}") is not None
        assert store.take(job, "another") is None, "it is held"
        client.redis.delete(f"{client.keys.web}held:{job.id}")
    faulty = store.add("faulty", "lead", "ann", "waiting")
    waiting = store.add("map", "lead", "ann", "waiting")
    from celery_recommender.web.jobs import mapping

    kinds = {
        "bad": lambda work: {},
        "faulty": lambda work: {"a": 1 / 0},
        "map": mapping.mapping(Service(settings, client)),
    }
    runner = Runner(store, kinds)
    runner.start()
    assert (ended(store, job.id).state, job_of(store, job.id).error) == ("failed", "interrupted")
    assert ended(store, faulty.id).error == "fault"
    wait_until(
        lambda: (
            job_of(store, waiting.id).state == "waiting"
            and not client.redis.exists(f"{client.keys.web}held:{waiting.id}")
        ),
        "the job to be put back",
    )
    runner.stop()
    assert job_of(store, waiting.id).attempts == 0, "no worker is no fault of the job"


@pytest.mark.parametrize("result", [{}, Failed("no_file"), NoRoom(), ZeroDivisionError()], ids=repr)
def test_a_job_that_is_removed_or_taken_over_while_it_ends_stays_so(
    client: Client, store: JobStore, result: dict[str, Any] | Exception
) -> None:
    def ends(work: Work) -> dict[str, Any]:
        if work.job.options["removed"]:
            store.remove(work.job.id)
        else:
            client.redis.set(f"{client.keys.web}held:{work.job.id}", "another")
        if isinstance(result, Exception):
            raise result
        return result

    runner = Runner(store, {"ends": ends})
    removed, taken = (store.add("ends", "lead", "ann", "waiting", {"removed": one}) for one in (True, False))
    runner._attempt(removed)
    runner._attempt(taken)
    assert store.get(removed.id) is None
    assert job_of(store, taken.id).state == "running"
    assert client.redis.get(f"{client.keys.web}held:{taken.id}") == b"another"


def test_a_job_is_held_again_by_a_slow_process_unless_another_has_it_or_has_ended_it(
    client: Client, store: JobStore
) -> None:
    held = f"{client.keys.web}held:"

    def slow(work: Work) -> dict[str, Any]:
        client.redis.delete(f"{held}{work.job.id}")  # as after its end
        work.tell("reading", 1, 1)
        client.redis.delete(f"{held}{work.job.id}")
        return {"items": 1}

    runner = Runner(store, {"slow": slow})
    job = store.add("slow", "lead", "ann", "waiting")
    runner._attempt(job)
    assert (job_of(store, job.id).state, job_of(store, job.id).result) == ("done", {"items": 1})
    assert not store.still(job.id, "process"), "it has ended"
    assert not client.redis.exists(f"{held}{job.id}")
    other = store.add("slow", "lead", "ann", "waiting")
    assert store.take(other, "another") is not None
    assert store.still(other.id, "another")
    assert not store.still(other.id, "process"), "another has it"


def test_files_and_jobs_are_bounded_and_have_an_end(
    client: Client, store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [store.add("file", "lead", "ann", "draft") for _ in range(5)]
    with pytest.raises(NoRoom):
        store.keep(jobs[0].id, "given", b"x" * (MIB + 1))
    for job in jobs[:4]:
        store.keep(job.id, "given", b"x" * MIB)
    with pytest.raises(NoRoom):
        store.keep(jobs[4].id, "given", b"x")
    store.remove(jobs[0].id)
    store.keep(jobs[4].id, "given", b"x" * MIB)
    client.redis.delete(f"{client.keys.web}job:{jobs[1].id}")  # as after its end
    store.keep(jobs[2].id, "made", b"x" * MIB)
    assert store.file(jobs[0].id, "given") is None
    monkeypatch.setattr(store_module, "MOST_JOBS", 3)
    with pytest.raises(NoRoom):
        store.add("file", "lead", "ann", "draft")
    store.put(replace(jobs[3], state="done"))
    added = store.add("file", "lead", "ann", "draft")
    assert [job.id for job in store.all()] == [jobs[2].id, jobs[4].id, added.id], "the oldest that has ended went"
    keys = client.redis.keys(f"{client.keys.web}*")
    assert len(keys) >= 7
    assert all(client.redis.ttl(key) > 0 for key in keys)


def test_settings_are_previewed_replayed_and_saved_with_all_others_kept(
    owner_process: Owners, client: Client, browser: Browser, store: JobStore
) -> None:
    owner_process().running()
    client.outcome(client.configure("lead", {"canonical": "latest", "candidates": 30}))
    for row in range(40):
        about = row - 1 if row % 4 == 3 else row
        text = f"<p>Kettle {about} leaks since Monday, order {about * 31}{' again' if row % 4 == 3 else ''}</p>"
        client.outcome(client.ingest({"id": f"R{row}", "text": text, "collection": "lead"}))
    page = browser.page("/settings", collection="lead")
    now = dict(re.findall(r'data-now="(\w+)">(\d+)<', page))
    assert now == dict(re.findall(r'data-then="(\w+)">(\d+)<', page)), "where it stands nothing would change"
    mark = re.search(r'name="mark" value="(\w+)"', page)
    assert mark is not None
    sliders: dict[str, Any] = {"target": "800", "review": "40", "budget": "30"}
    seen = browser.page("/settings/preview", collection="lead", **sliders)
    then = {band: int(count) for band, count in re.findall(r'data-then="(\w+)">(\d+)<', seen)}
    before, after = (
        client.preview("lead", **asked)
        for asked in ({"target_precision": 0.95}, {"target_precision": 0.8, "review_from": 0.4})
    )
    assert before is not None
    assert after is not None
    assert then == {
        band: max(0, before["bands"][band] + after["preview"][band] - before["preview"][band]) for band in then
    }
    assert client.preview("lead")["settings"]["target_precision"] == 0.95, "nothing is changed"  # type: ignore[index]

    part = browser.give("/settings/replay", collection="lead", **sliders)
    id_ = re.search(r"/job\?id=([0-9a-f]{32})", part)
    assert id_ is not None
    replayed = ended(store, id_[1])
    assert replayed.state == "done", replayed.error
    assert sum(replayed.result["then"].values()) == replayed.result["items"] == 40
    assert "data-replayed" in browser.page("/job", id=id_[1])

    saved: dict[str, Any] = {"collection": "lead", "mark": mark[1], **sliders}
    browser.give("/settings", **saved)
    settings = client.preview("lead")["settings"]  # type: ignore[index]
    assert (settings["target_precision"], settings["review_from"], settings["review_budget"]) == (0.8, 0.4, 0.3)
    assert (settings["canonical"], settings["candidates"]) == ("latest", 30), "all others are kept"
    bands = Counter(view["band"] for view in client.ask("recommender.list", collection="lead", limit=200)["items"])
    assert sum(bands.values()) == 40
    assert "saved meanwhile" in browser.give("/settings", 409, **saved)

    drawn = browser.give("/map", collection="lead")
    id_ = re.search(r"/job\?id=([0-9a-f]{32})", drawn)
    assert id_ is not None
    assert ended(store, id_[1]).state == "done"
    page = browser.page("/map", collection="lead")
    assert page.count("<circle") >= 40
    assert all(point[5].startswith("Kettle") for point in job_of(store, id_[1]).result["points"]), "what is compared"
    assert sum(count for _, count in job_of(store, id_[1]).result["sizes"]) > 0


def test_files_and_jobs_are_seen_by_those_who_see_their_collection(
    client: Client, settings: Settings, store: JobStore, tmp_path: Path
) -> None:
    users = UsersFile(tmp_path / "users.json")
    users.put("shop", User(password=hashed("correct horse"), role=Role.CONFIGURE, collections=("shop",)))
    users.put("lead", User(password=hashed("correct horse"), role=Role.ANSWER))
    with served(settings.replaced(web_users=users.path)) as address:
        with Browser(address) as lead:
            lead.log_in("lead", "correct horse")
            id_ = id_of(uploaded(lead, german_file(5)))
        with Browser(address) as shop:
            shop.log_in("shop", "correct horse")
            assert "tickets.csv" not in shop.page("/files", collection="shop")
            for path in ("/file", "/file/result", "/job"):
                assert "do not have access" in shop.page(path, 403, id=id_)
            for path in ("/file/columns", "/file/delete"):
                assert "do not have access" in shop.give(path, 403, id=id_)
            token = re.search(r'"X-CSRF-Token": "([0-9a-f]+)"', shop.page("/files", collection="shop"))
            assert token is not None
            given = {"data": {"csrf": token[1], "collection": "lead"}, "files": {"file": ("t.csv", b"id,text\n1,a")}}
            assert shop.post("/files", **given).status_code == 403  # type: ignore[arg-type]
            given = {**given, "data": {"csrf": "0" * 64, "collection": "shop"}}
            assert "older session" in shop.post("/files", **given).text  # type: ignore[arg-type]
    assert job_of(store, id_).state == "draft"
