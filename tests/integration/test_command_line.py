"""The ``recommender`` command as its user types it: files, what is printed, exit codes."""

from __future__ import annotations

import csv
import gzip
import io
import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from celery_recommender.client import Client
from celery_recommender.frames.columns import ADDED
from celery_recommender.settings import Settings
from recommender_engine.errors import InvalidCommand
from recommender_engine.items import EntryId
from tests.integration.conftest import Owners, Run
from tests.support.command_line import command, environment
from tests.support.processes import REAL_MODEL_APP
from tests.support.streams import PROCESSED
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.server, pytest.mark.parametrize("server", ["embedded"], indirect=True)]

ROWS = 2600  # more than two batches and a block, after which a sender waits


@pytest.fixture
def tickets(tmp_path: Path) -> Path:
    """Six rows: a reworded and an exact repeat, one without text, one with too few columns."""
    path = tmp_path / "tickets.csv"
    path.write_text(
        "number,subject,body\n"
        "T1,Printer on fire,The printer in room 12 is on fire\n"
        "T2,printer  on FIRE,The printer in room 12 is on fire\n"
        "T3,Cannot log in,My password is not accepted since the update\n"
        "T4,,\n"
        "T5,short row\n"
        "T6,Export is empty,The export button gives an empty file\n",
    )
    return path


COLUMNS = ("--id-field", "number", "--text-field", "subject", "--text-field", "body", "--collection", "tickets")


def test_ingest_search_compare_get_stats(
    owner_process: Owners, recommender: Run, client: Client, tickets: Path
) -> None:
    owner_process().running()
    summary = json.loads(recommender("ingest", str(tickets), *COLUMNS, "--json", status=3).stdout)
    assert summary["sent"] == 4
    assert summary["decided"]
    assert summary["bands"]["duplicate"] == 1
    assert [bad["row"] for bad in summary["bad_rows"]] == [4, 5]

    hits = json.loads(recommender("search", "printer on fire", "--collection", "tickets", "--json").stdout)
    assert hits[0]["id"] == "T1"
    assert "T2" not in {hit["id"] for hit in hits}, "a duplicate appears through its canonical item only"
    assert "T1" in recommender("search", "printer on fire", "--collection", "tickets").stdout
    following = recommender("search", "printer on fire", "--collection", "tickets", "--offset", "1", "--json").stdout
    assert json.loads(following) == hits[1:]
    assert client.search("printer on fire", "tickets") == hits
    assert client.ask("recommender.get", "T2", collection="tickets")["duplicate_of"] == "T1"
    with pytest.raises(InvalidCommand, match="limit must be between 1 and 100"):
        client.search("printer on fire", "tickets", limit=0)

    client.outcome(client.patch("T1", {"urgency": 3, "tags": ["fire"]}, collection="tickets"))
    urgent = ("search", "printer on fire", "--collection", "tickets", "--where", "urgency>2", "--json")
    assert [hit["id"] for hit in json.loads(recommender(*urgent).stdout)] == ["T1"]
    assert json.loads(recommender(*urgent, "--filter", '{"tags": {"$nin": ["fire"]}}').stdout) == []
    assert [hit["id"] for hit in client.search("printer", "tickets", filter={"tags": "fire"})] == ["T1"]
    assert client.ask("recommender.recommend", "T1", collection="tickets", filter={"tags": "fire"}) == []
    with pytest.raises(InvalidCommand, match="did you mean 'urgency'"):
        client.search("printer", "tickets", filter={"urgncy": 3})
    assert "did you mean 'urgency'" in recommender(*urgent, "--where", "urgncy=3", status=1).stderr

    verdict = json.loads(recommender("compare", "Refund", "refund", "--json").stdout)
    assert (verdict["band"], verdict["probability"], verdict["view"]) == ("duplicate", 1.0, "alone")
    verdict = json.loads(recommender("compare", "T2", "T1", "--ids", "--collection", "tickets", "--json").stdout)
    assert (verdict["band"], verdict["view"]) == ("duplicate", "in the stream")
    assert "judged in the stream" in recommender("compare", "Refund", "x", "--collection", "tickets").stdout
    assert "judged alone" in recommender("compare", "Refund", "refund").stdout
    assert "--ids needs --collection" in recommender("compare", "T2", "T1", "--ids", status=2).stderr

    view = json.loads(recommender("get", "T2", "--collection", "tickets", "--json").stdout)
    assert view["duplicate_of"] == "T1"
    recommender("get", "nobody", "--collection", "tickets", status=1)

    stats = json.loads(recommender("stats", "--json").stdout)
    assert stats["collections"]["tickets"]["items"] == 4
    assert stats["owner"]["state"] == "running"


@pytest.mark.model
def test_questions_are_answered_from_the_state_when_no_owner_is_at_work(
    owner_process: Owners, recommender: Run, tickets: Path
) -> None:
    recommender("search", "anything", status=1)
    owner = owner_process(app=REAL_MODEL_APP).running()
    recommender("ingest", str(tickets), *COLUMNS, status=3)
    assert owner.terminate() == 0
    stats = json.loads(recommender("stats", "--json").stdout)
    assert stats["owner"] is None
    assert stats["collections"]["tickets"]["items"] == 4


def test_ingest_goes_on_where_it_was_interrupted(
    owner_process: Owners, recommender: Run, client: Client, tmp_path: Path, settings: Settings
) -> None:
    path = tmp_path / "many.jsonl.gz"
    with gzip.open(path, "wt") as lines:
        for number in range(ROWS):
            lines.write(json.dumps({"id": f"N{number}", "text": f"ticket {number}"}) + "\n")
    # With an owner at work the sender waits for it after two batches: time enough to interrupt it.
    owner = owner_process().running()
    owner.signal(signal.SIGSTOP)
    sender = subprocess.Popen(command("ingest", str(path)), env=environment(settings), stderr=subprocess.DEVNULL)
    wait_until(lambda: client.log.length() >= 1000, "the sender to be under way")
    sender.kill()
    sender.wait()
    owner.signal(signal.SIGCONT)
    done = recommender("ingest", str(path), "--json")
    assert "going on after row" in done.stderr
    stats = json.loads(recommender("stats", "--json").stdout)
    assert stats["collections"]["default"]["items"] == ROWS
    events = client.events_so_far(EntryId(0, 0))
    processed = [event["data"]["item_id"] for event in events if event["type"] == PROCESSED]
    assert sorted(processed) == sorted({f"N{number}" for number in range(ROWS)}), "each item once"


@pytest.mark.parametrize("suffix", ["csv", "jsonl.gz"])
def test_ingest_interactions_counts_each_once_and_names_bad_rows(
    owner_process: Owners, recommender: Run, client: Client, tmp_path: Path, suffix: str
) -> None:
    rows: list[dict[str, Any]] = [
        {"Customer ID": f"u{n % 3}", "SKU": f"P-{n % 4}", "action": "view", "Timestamp": f"2026-03-0{n + 1}T09:00:00Z"}
        for n in range(7)
    ]
    rows += [{**rows[0], "SKU": ""}, {**rows[0], "Timestamp": "soon"}, {**rows[0], "action": "sniff"}]
    path = tmp_path / f"clicks.{suffix}"
    if suffix == "csv":
        with path.open("w", newline="") as file:
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(rows)
    else:
        with gzip.open(path, "wt") as lines:
            lines.writelines(json.dumps(row) + "\n" for row in rows)
    owner_process().running()
    ingest = ("ingest", "--interactions", str(path), "--collection", "shop")
    told = recommender(*ingest, "--json", status=3)
    summary = json.loads(told.stdout)
    assert (summary["sent"], summary["decided"], summary["interactions"]) == (8, True, 7)
    assert summary["rejected"] == {"unknown_kind": 1}
    assert [(bad["row"], bad["error"].partition(":")[0]) for bad in summary["bad_rows"]] == [
        (8, "column 'SKU'"),
        (9, "column 'Timestamp'"),
    ]
    assert "item: column 'SKU'" in told.stderr

    copy = path.rename(path.with_stem(f"again-{path.stem}"))
    shown = recommender("ingest", "--interactions", str(copy), "--collection", "shop", status=3).stdout
    assert "10 rows read: 8 interactions, 2 failed" in shown
    assert "8 interactions sent" in shown
    erased = [client.ask("recommender.erase_user", {"user": f"u{n}", "collection": "shop"}) for n in range(3)]
    assert [one["interactions"] for one in erased] == [3, 2, 2], "the second time had no effect"
    recommender(*ingest, "--silent", status=2)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet", "csv.gz"])
def test_enrich_writes_every_row_back(
    owner_process: Owners, recommender: Run, tickets: Path, tmp_path: Path, suffix: str
) -> None:
    owner_process().running()
    target = tmp_path / f"out.{suffix}"
    done = json.loads(recommender("enrich", str(tickets), str(target), *COLUMNS, "--json", status=3).stdout)
    assert (done["out"], done["rows"], done["items"], done["errors"]) == (str(target), 6, 4, 2)
    rows = read_rows(target)
    assert [row["number"] for row in rows[:4]] == ["T1", "T2", "T3", "T4"]
    assert set(ADDED) <= set(rows[0])
    by_id = {row.get("number"): row for row in rows}
    assert by_id["T2"]["band"] == "duplicate"
    assert by_id["T2"]["duplicate_of"] == "T1"
    assert by_id["T1"]["canonical_id"] == by_id["T2"]["canonical_id"] == "T1"
    assert by_id["T1"]["group"] == by_id["T2"]["group"]
    assert by_id["T4"]["error"]


def test_a_column_with_the_name_of_an_added_one_keeps_its_cells_beside_a_prefix(
    owner_process: Owners, recommender: Run, tmp_path: Path
) -> None:
    owner_process().running()
    source, target = tmp_path / "songs.csv", tmp_path / "out.csv"
    source.write_text("id,text,band,error\n1,a long way home,The Wanderers,none\n2,printer on fire,,\n")
    recommender("enrich", str(source), str(target), "--text-field", "text", "--prefix", "x_")
    rows = read_rows(target)
    assert [(row["band"] or "", row["error"] or "") for row in rows] == [("The Wanderers", "none"), ("", "")]
    assert [row["x_band"] for row in rows] == ["new", "new"]
    assert list(rows[0]) == ["id", "text", "band", "error", *(f"x_{name}" for name in ADDED)]


def test_enrich_writes_what_holds_after_the_last_row(
    owner_process: Owners, recommender: Run, client: Client, tmp_path: Path
) -> None:
    """The third row takes the text of the first away, and with it the verdict on the second."""
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("id,text\nA,the printer is on fire\nB,the printer is on FIRE\nA,my password is not accepted\n")
    owner_process().running()
    recommender("enrich", str(source), str(target), "--on-repeat", "last")
    events = {(event["type"], event["data"].get("item_id")) for event in client.events_so_far(EntryId(0, 0))}
    assert ("recommender.item.revised.v1", "B") in events
    rows = read_rows(target)
    assert [(row["band"], row["duplicate_of"]) for row in rows] == [("", ""), ("new", ""), ("new", "")]
    assert rows[0]["error"] == "row 3 has the same id, and has replaced it"
    assert rows[1]["group"] != rows[2]["group"]


def test_themes_are_a_column_a_command_and_an_answer(
    owner_process: Owners, recommender: Run, client: Client, tmp_path: Path
) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    about = ("the printer jams on page", "my password is not accepted on day", "the parcel came late in week")
    lines = [f"{word}{number},{text} {number}" for number in range(12) for word, text in zip("abc", about, strict=True)]
    source.write_text("\n".join(["id,text", *lines, "d,"]) + "\n")
    owner_process().running()
    recommender("enrich", str(source), str(target), "--themes", "--collection", "shop", status=3)
    rows = read_rows(target)
    found = json.loads(recommender("themes", "shop", "--json", "--members").stdout)
    theme_of = {member: ", ".join(theme["label"]) for theme in found["themes"] for member in theme["members"]}
    assert len(theme_of) > 20
    assert {row["id"]: row["theme"] for row in rows} == {row["id"]: theme_of.get(row["id"], "") for row in rows}
    assert {"collection": "shop", **(client.themes("shop", members=True) or {})} == found
    assert client.themes("nowhere") is None


def test_a_file_is_enriched_again_under_other_settings_without_sending_or_embedding(
    owner_process: Owners, recommender: Run, client: Client, tmp_path: Path
) -> None:
    source, first, second, third, page = (tmp_path / name for name in ("in.csv", "1.csv", "2.csv", "3.csv", "x.html"))
    lines = [f"{n},the printer in room {n} is on fire,{n % 2}" for n in range(9)]
    source.write_text("\n".join(["id,text,floor", *lines, "9,the printer in room 4 is on  FIRE,1", "10,,0"]) + "\n")
    columns = ("--text-field", "text", "--attribute", "floor", "--collection", "fires")
    owner_process().running()
    recommender("enrich", str(source), str(first), *columns, status=3)
    client.outcome(client.feedback("5", "different", "6", collection="fires"))
    decided = [one["id"] for one in client.events_so_far(EntryId(0, 0)) if ".item." in one["type"]]
    recommender("enrich", str(source), str(second), *columns, "--again", status=3)
    now = {row["id"]: row for row in read_rows(second)}
    assert {row["id"]: (row["band"], row["group"], row["error"]) for row in read_rows(first)} == {
        id_: (row["band"], row["group"], row["error"]) for id_, row in now.items()
    }
    assert now["9"]["duplicate_of"] == "4"
    changes = ("--again", "--collection-settings", "equal=floor", "--collection-settings", "review_budget=null")
    done = json.loads(recommender("enrich", str(source), str(third), *columns, *changes, "--json", status=3).stdout)
    assert (done["rows"], done["errors"]) == (11, 1)
    then = {row["id"]: row for row in read_rows(third)}
    assert (then["9"]["band"], then["9"]["duplicate_of"]) != ("duplicate", "4"), "another floor"
    assert then["10"]["error"] == now["10"]["error"] == "no text in column 'text'"
    assert then["8"]["similar_ids"] == now["8"]["similar_ids"]
    assert [one["id"] for one in client.events_so_far(EntryId(0, 0)) if ".item." in one["type"]] == decided
    source.write_text(source.read_text() + "11,a mug without a handle,1\n")
    recommender("enrich", str(source), str(third), *columns, "--again", status=3)
    assert read_rows(third)[11]["error"] == "the collection does not have it: not sent, or deleted"
    assert "--again" in recommender("enrich", str(source), str(third), *changes[1:], status=2).stderr
    shown = json.loads(recommender("report", "fires", str(page), "--json").stdout)
    assert (shown["items"], sum(shown["bands"].values())) == (10, 10)
    assert "the printer in room 4 is on FIRE" in page.read_text()
    assert shown["bands"] == {
        band: sum(row["band"] == band for row in now.values()) for band in ("duplicate", "review", "similar", "new")
    }
    assert shown["pairs"] == sum(row["band"] in ("duplicate", "review") for row in now.values())
    newest = json.loads(recommender("report", "fires", str(page), "--last", "3", "--json").stdout)
    assert newest["items"] == 3
    assert "is on  FIRE" in page.read_text() or "is on FIRE" in page.read_text()
    assert 'class="id">0<' not in page.read_text()
    assert "there is no collection 'nowhere'" in recommender("report", "nowhere", str(page), status=1).stderr
    assert "no folder" in recommender("report", "fires", str(tmp_path / "nowhere" / "x.html"), status=1).stderr


def test_an_incident_is_shown_by_the_command_and_the_client(
    owner_process: Owners, recommender: Run, client: Client
) -> None:
    owner_process().running()
    client.configure("lifts", {"incidents": True})
    reports = client.ingest_many(
        [{"id": f"L-{n}", "collection": "lifts", "text": "the lift in the library is stuck"} for n in range(8)]
    )
    client.outcome(reports[-1])
    (found,) = client.incidents("lifts")
    assert (found["canonical_id"], found["items"], found["collection"]) == ("L-0", 8, "lifts")
    assert json.loads(recommender("incidents", "--json").stdout) == [found]
    opened = [event["type"] for event in client.events_so_far(EntryId(0, 0)) if ".incident." in event["type"]]
    assert opened == ["recommender.incident.opened.v1"]
    assert client.incidents("nowhere") == []


def test_a_list_is_told_by_a_real_worker_and_shown_when_it_changes(
    owner_process: Owners, recommender: Run, client: Client
) -> None:
    owner_process().running()
    for item in ("a", "b"):
        client.ingest({"id": item, "collection": "shop", "text": f"mug of stoneware, glaze {item}"})
    client.record("a", "ann", collection="shop")
    assert "told from now on" in recommender("subscribe", "--user", "ann", "--collection", "shop").stdout
    assert "name either" in recommender("subscribe", "--collection", "shop", status=2).stderr
    assert "no such item" in recommender("subscribe", "--item", "x", "--collection", "shop", status=1).stdout
    told = (one for one in client.events(EntryId(0, 0)) if one["type"].endswith("recommendations.updated.v1"))
    first = next(told)["data"]
    assert (first["user"], first["went"]) == ("ann", [])
    ended = json.loads(recommender("unsubscribe", "--user", "ann", "--collection", "shop", "--json").stdout)
    assert (ended["subscribed"], ended["item_id"]) == (False, None)


def test_no_command_leaves_an_empty_state_that_others_would_answer_from(recommender: Run, settings: Settings) -> None:
    recommender("backup", str(settings.state_dir / "backups"), status=1)
    settings.partition_dir.mkdir(parents=True)  # a worker that ended before it had begun
    for asked in (("search", "printer"), ("stats",), ("get", "T1")):
        assert "there is no state in" in recommender(*asked, status=1).stderr


def test_enrich_without_a_worker_says_so_and_goes_on_later(
    owner_process: Owners, recommender_process: Run, tickets: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.csv"
    failed = recommender_process("enrich", str(tickets), str(target), *COLUMNS, status=1)
    assert "no worker is running" in failed.stderr
    assert not target.exists()
    owner_process().running()
    assert "4 items of the rows up to 6 have been sent to the collection 'tickets'" in failed.stderr
    done = recommender_process("enrich", str(tickets), str(target), *COLUMNS, "--json", status=3)
    assert "going on after row 6" in done.stderr
    assert json.loads(done.stdout)["errors"] == 2


def test_enrich_says_what_it_cannot_write_before_it_sends_anything(
    recommender: Run, client: Client, tickets: Path, tmp_path: Path
) -> None:
    failed = recommender("enrich", str(tickets), str(tmp_path / "nowhere" / "out.csv"), *COLUMNS, status=1)
    assert "cannot write" in failed.stderr
    assert "nothing has been sent" in failed.stderr
    assert client.log.length() == 0


def test_a_file_without_an_item_is_a_failure(recommender: Run, client: Client, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("id,text\n,no id\n7,\n")
    done = json.loads(recommender("ingest", str(path), "--json", status=1).stdout)
    assert (done["sent"], [bad["row"] for bad in done["bad_rows"]]) == (0, [1, 2])
    path.write_text("id,text\n")
    told = recommender("ingest", str(path), status=1).stdout
    assert "0 rows read: 0 items, 0 failed" in told, "nothing was done"


@pytest.mark.parametrize(
    ("arguments", "changed", "status", "told"),
    [
        (
            ("worker",),
            {"REDIS_URL": "nope"},
            78,
            "Error: RECOMMENDER_REDIS_URL: the URL must begin with one of redis://",
        ),
        (
            ("watch",),
            {"REDIS_URL": "redis://:secret@127.0.0.1:1/0"},
            1,
            "redis://:***@127.0.0.1:1/0 (RECOMMENDER_REDIS_URL)",
        ),
        (("worker",), {"REDIS_URL": "", "STATE_DIR": "/dev/null/state"}, 78, "Error: /dev/null/state"),
    ],
)
def test_an_environment_that_cannot_work_is_reported_in_one_line(
    settings: Settings, arguments: tuple[str, ...], changed: dict[str, str], status: int, told: str
) -> None:
    spoilt = environment(settings) | {f"RECOMMENDER_{name}": value for name, value in changed.items()}
    done = subprocess.run(command(*arguments), env=spoilt, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_answers_need_a_result_backend(
    owner_process: Owners, settings: Settings, tickets: Path, tmp_path: Path
) -> None:
    owner_process().running()
    deaf = environment(settings.replaced(result_backend="disabled"))
    for arguments in (
        ("search", "x"),
        ("compare", "x", "y"),
        ("stats",),
        ("enrich", str(tickets), str(tmp_path / "out.csv"), *COLUMNS),
    ):
        done = subprocess.run(command(*arguments), env=deaf, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1
        assert "RECOMMENDER_RESULT_BACKEND='disabled': answers of a running worker come through" in done.stderr


def test_configure_and_its_rejection(owner_process: Owners, recommender_process: Run) -> None:
    owner_process().running()
    assert "recommendations = 3" in recommender_process("configure", "tickets", "recommendations=3").stdout
    assert "not one of" in recommender_process("configure", "tickets", "model=unheard-of", status=1).stdout
    assert "KEY=VALUE" in recommender_process("configure", "tickets", "colour=red", status=2).stderr


def test_configure_takes_words_from_a_file(
    owner_process: Owners, recommender: Run, client: Client, tmp_path: Path
) -> None:
    owner_process().running()
    words = tmp_path / "words.toml"
    words.write_text('editions = "aurora, nordic"\n[remove]\neditions = "air"\n')
    shown = recommender("configure", "products", "candidates=20", "--words", str(words)).stdout
    assert "candidates = 20\n" in shown
    assert '[[words]]\neditions = "aurora, nordic"\nremove.editions = "air"\n' in shown
    told = json.loads(recommender("configure", "products", "--words", str(words), "--json").stdout)
    assert told["settings"]["words"] == [{"editions": "aurora, nordic", "remove": {"editions": "air"}}]
    titles = {
        "P1": "Steel bottle Fjord 750 ml with lid and strap",
        "P2": "Steel bottle Fjord Aurora 750 ml with lid and strap",
    }
    for id_, text in titles.items():
        said = client.outcome(client.ingest({"id": id_, "collection": "products", "text": text}))["data"]
    assert "edition_differs" in [reason["code"] for reason in said["reasons"]]
    tried = json.loads(recommender("tune", "products", "--words", str(words), "candidates=30", "--json").stdout)
    assert set(tried["settings"]) == {"candidates"}
    assert "COLLECTION" in recommender("configure", "--words", str(words), status=2).stderr
    words.write_text('edition = "aurora"\n')
    assert (
        "edition: there is no such field; the lists are"
        in recommender("configure", "products", "--words", str(words), status=1).stderr
    )


def test_watch_follows_the_events(owner_process: Owners, recommender: Run, tickets: Path, settings: Settings) -> None:
    owner_process().running()
    recommender("ingest", str(tickets), *COLUMNS, status=3)
    watcher = subprocess.Popen(
        command("watch", "--from-start", "--json"), env=environment(settings), stdout=subprocess.PIPE, text=True
    )
    try:
        assert watcher.stdout is not None
        events = [json.loads(watcher.stdout.readline()) for _ in range(5)]
    finally:
        watcher.kill()
        watcher.wait()
        watcher.stdout.close()
    assert [event["data"].get("item_id") or event["data"]["items"] for event in events] == [
        *("T1", "T2", ["T2"], "T3", "T6"),
    ]


def test_doctor_finds_what_is_wrong(recommender: Run, client: Client) -> None:
    found = {one["check"]: one["state"] for one in json.loads(recommender("doctor", "--json").stdout)}
    assert found["server"] == found["persistence"] == found["eviction"] == "ok"
    client.redis.config_set("maxmemory-policy", "allkeys-lru")
    client.redis.config_set("appendonly", "no")
    found = {one["check"]: one["state"] for one in json.loads(recommender("doctor", "--json", status=1).stdout)}
    assert found["eviction"] == "failed"
    assert found["persistence"] == "warning"


def read_rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        import pyarrow.parquet

        rows: list[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
        return rows
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    if ".jsonl" in path.name:
        return [json.loads(line) for line in text.splitlines()]
    return list(csv.DictReader(io.StringIO(text, newline="")))
