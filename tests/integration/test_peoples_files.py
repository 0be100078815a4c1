"""People's files through the real commands: nothing is lost, replaced or guessed in silence."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

from celery_recommender.cli.main import main
from celery_recommender.client import Client
from celery_recommender.settings import PREFIX, Settings
from recommender_engine.items import EntryId
from tests.support.command_line import command, environment
from tests.support.processes import OwnerProcess
from tests.support.servers import make_server, running

pytestmark = pytest.mark.server


class Done(NamedTuple):
    """What a command has left behind."""

    status: int
    out: str
    err: str

    @property
    def said(self) -> Any:
        return json.loads(self.out)


Do = Callable[..., Done]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A server and a worker for all tests; each uses a collection of its own."""
    folder = tmp_path_factory.mktemp("shared")
    with running(make_server("embedded", folder / "server")) as server:
        settings = Settings(redis_url=server.url, state_dir=folder / "state", encoder="torch-float32")
        with OwnerProcess(settings, folder / "owner.log") as owner:
            owner.running()
            yield settings


@pytest.fixture
def do(shared: Settings, monkeypatch: pytest.MonkeyPatch) -> Do:
    """Runs a command of the line in this process, as ``main`` would."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    for name, value in shared.to_environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str, typed: str | None = None) -> Done:
        result = CliRunner().invoke(main, [str(one) for one in arguments], input=typed, catch_exceptions=False)
        return Done(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def client(shared: Settings) -> Iterator[Client]:
    client = Client(shared)
    yield client
    client.close()


@pytest.fixture
def collection(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)


def table(path: Path, text: str) -> str:
    path.write_text(text, newline="")
    return str(path)


def written(path: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(Path(path).read_text(), newline="")))


@pytest.fixture
def enrich(do: Do, tmp_path: Path, collection: str) -> Callable[..., tuple[Done, list[dict[str, str]]]]:
    """Enriches a CSV file, and gives what the command said (as JSON) and the rows that it wrote."""

    def run(text: str, *options: str, status: int = 0) -> tuple[Done, list[dict[str, str]]]:
        source, target = table(tmp_path / "in.csv", text), str(tmp_path / "out.csv")
        done = do("enrich", source, target, "--collection", collection, "--json", *options)
        assert done.status == status, done.out + done.err
        return done, written(target)

    return run


Enrich = Callable[..., tuple[Done, list[dict[str, str]]]]

CUT = "gtin,title\n4.01E+12,Oat drink 1 l\n4.01E+12,Rye bread 500 g\n0040123,Sea salt 250 g\n"


def test_ids_shortened_by_a_spreadsheet_are_reported_and_replace_nothing(enrich: Enrich) -> None:
    done, rows = enrich(CUT, "--id-field", "gtin", status=3)
    assert done.said["findings"]["id_in_scientific_notation"]["rows"] == 1
    assert (done.said["repeated_ids"], done.said["items"], done.said["failed"]) == (1, 2, 1)
    assert [row["title"] for row in rows] == ["Oat drink 1 l", "Rye bread 500 g", "Sea salt 250 g"]
    assert [bool(row["band"]) for row in rows] == [True, False, True]
    assert "a spreadsheet has cut short" in rows[0]["error"]
    assert rows[1]["error"] == "the id of row 1 once more"
    assert rows[2]["canonical_id"] == "0040123"


YEARS = (
    "number,subject\n17,the printer on floor two is jammed\n18,access to the payroll folder\n"
    "17,the VPN asks for a token\n18,the projector shows no picture\n"
)


def test_ids_that_restart_every_year(enrich: Enrich, do: Do, collection: str, tmp_path: Path) -> None:
    options = ("--id-field", "number")
    done, rows = enrich(YEARS, *options, status=3)
    assert [row["error"] for row in rows] == ["", "", "the id of row 1 once more", "the id of row 2 once more"]
    assert done.said["errors_by_kind"]["repeated_id"]["first_row"] == 3
    done, rows = enrich(YEARS, *options, "--on-repeat", "suffix")
    assert [row["canonical_id"] for row in rows] == ["17", "18", "17-2", "18-2"]
    done, rows = enrich(YEARS, *options, "--on-repeat", "last")
    assert [row["error"] for row in rows][:2] == [f"row {n} has the same id, and has replaced it" for n in (3, 4)]
    assert [row["band"] for row in rows][:2] == ["", ""]
    view = json.loads(do("get", "17", "--collection", collection, "--json").out)
    assert view["text"] == "the VPN asks for a token"


def test_rows_that_continue_the_product_above(enrich: Enrich) -> None:
    text = "Handle,Title,Size\njacket,Trail jacket,S\njacket,,M\njacket,,L\nmug,Camp mug,Blue\n"
    done, rows = enrich(text, "--id-field", "Handle", "--text-field", "Title", status=3)
    assert done.said["errors_by_kind"]["continues_row_above"] == {
        "rows": 2,
        "first_row": 2,
        "example": "no text: it continues row 1, whose id it has",
    }
    assert [row["Size"] for row in rows] == ["S", "M", "L", "Blue"]
    assert [bool(row["band"]) for row in rows] == [True, False, False, True]


PLACEHOLDERS = "id,text\n1,N/A\n2,the login page stays blank\n3,N/A\n4,-\n5,-\n6,siehe Anhang\n7,siehe Anhang\n"


def test_placeholders_are_no_texts_and_nobodys_twin(enrich: Enrich) -> None:
    done, rows = enrich(PLACEHOLDERS, status=3)
    assert (done.said["items"], done.said["empty_texts"]) == (1, 6)
    assert rows[0]["error"] == "no text in column 'text' (a placeholder says nothing)"
    done, rows = enrich(PLACEHOLDERS, "--no-placeholders")
    assert {row["band"] for row in rows} == {"new"}
    assert {row["reason"] for row in rows if row["id"] != "2"} == {"the text is a placeholder and says nothing"}
    done, rows = enrich("id,text\n1,pas de texte\n2,the login page\n", "--placeholder", "Pas de texte", status=3)
    assert [bool(row["band"]) for row in rows] == [False, True]


DATES = {
    "20250310": "2025-03-10T00:00:00Z",
    "2025-03-10 14:30:00 +0100": "2025-03-10T14:30:00+01:00",
    "2025-03-10T14:30:00.000+0000": "2025-03-10T14:30:00Z",
    "10.03.2025": "2025-03-10T00:00:00Z",
    "10/03/2025": None,
    "45726": None,
    "2025": None,
    "1741617000": None,
    "0000-00-00 00:00:00": None,
    "NULL": None,
}


def exported(do: Do, collection: str, path: Path) -> dict[str, dict[str, Any]]:
    assert do("export", collection, str(path)).status == 0
    return {item["id"]: item for item in map(json.loads, path.read_text().splitlines())}


def test_dates_are_read_in_one_way_or_reported_and_never_1970(
    enrich: Enrich, do: Do, collection: str, tmp_path: Path
) -> None:
    lines = [f"{number},ticket about thing {number},{cell}" for number, cell in enumerate(DATES)]
    done, rows = enrich("\n".join(["id,text,created", *lines]), "--timestamp-field", "created")
    stored = exported(do, collection, tmp_path / "export.jsonl")
    assert [stored[str(number)].get("timestamp") for number in range(len(DATES))] == list(DATES.values())
    assert all(row["band"] for row in rows), "a bad date costs the date, and not the row"
    assert [bool(row["error"]) for row in rows] == [False] * 4 + [True] * 4 + [False] * 2
    assert done.said["findings"]["bad_date"]["first_row"] == 5


@pytest.mark.parametrize(
    ("cells", "options", "moments"),
    [
        (("03/04/2025", "25/12/2025"), ("--day-first",), ("2025-04-03", "2025-12-25")),
        (("03/04/2025", "12/25/2025"), ("--month-first",), ("2025-03-04", "2025-12-25")),
        (("45726", "45727.5"), ("--excel-dates",), ("2025-03-10", "2025-03-11")),
        (("1741617000", "1741617001"), (), ("2025-03-10", "2025-03-10")),
        (("1741617000000", "1741617000001"), (), ("2025-03-10", "2025-03-10")),
    ],
)
def test_dates_as_a_person_says_they_are(
    enrich: Enrich, do: Do, tmp_path: Path, collection: str, cells: Any, options: Any, moments: Any
) -> None:
    lines = [f"{number},ticket about thing {number},{cell}" for number, cell in enumerate(cells)]
    enrich("\n".join(["id,text,created", *lines]), "--timestamp-field", "created", *options)
    stored = exported(do, collection, tmp_path / "export.jsonl")
    assert tuple(item["timestamp"][:10] for item in stored.values()) == moments


@pytest.mark.parametrize(
    ("cells", "prices"),
    [
        (("39.99 EUR", "399.00 EUR"), [39.99, 399]),
        (('"39,99"', '"1.399,00"'), [39.99, 1399]),
        (('"$1,299.00"', "$5"), [1299, 5]),
        (("1 299 kr", "5 kr"), [1299, 5]),
    ],
)
def test_prices_become_numbers(
    enrich: Enrich, do: Do, tmp_path: Path, collection: str, cells: Any, prices: list[float]
) -> None:
    lines = [f"{number},hand blender number {number},{cell}" for number, cell in enumerate(cells)]
    done, _ = enrich("\n".join(["id,title,Price", *lines]), "--attribute", "price")
    assert "attribute 'Price': numbers" in done.err
    stored = exported(do, collection, tmp_path / "export.jsonl")
    assert [item["attributes"]["Price"] for item in stored.values()] == prices


def test_a_price_that_is_no_number_is_kept_and_reported(enrich: Enrich) -> None:
    text = "id,title,price\n1,hand blender,39.99 EUR\n2,steel whisk,39.99 USD\n"
    done, _ = enrich(text, "--attribute", "price")
    assert "kept as text: several units: EUR, USD" in done.err
    assert done.said["findings"]["price_as_text"]["rows"] == 2


URL = "https://cdn.example.com/media/catalogue/products/large/a-very-long-name-0001.jpg"


def test_the_guess_is_shown_and_takes_no_url(enrich: Enrich) -> None:
    done, rows = enrich(f"sku,bezeichnung,bild\nA1,Schraube verzinkt,{URL}\nA2,Mutter aus Messing,{URL}\n")
    assert "text: column 'bezeichnung'" in done.err
    assert "row 1: A1  Schraube verzinkt" in done.err
    assert all(row["band"] for row in rows)


DOUBT = "a,b\nthe printer is on fire,my password is refused\nthe export is empty,a refund is late\n"


def test_a_guess_in_doubt_sends_nothing_without_an_answer(do: Do, client: Client, tmp_path: Path) -> None:
    source, before = table(tmp_path / "in.csv", DOUBT), client.log.length()
    for arguments in (("ingest", source), ("enrich", source, str(tmp_path / "out.csv"))):
        done = do(*arguments, "--collection", "doubt")
        assert done.status == 1
        assert "say --text-field COLUMN" in done.err
        assert "nothing has been sent" in done.err
    assert client.log.length() == before
    assert not (tmp_path / "out.csv").exists()
    assert do("ingest", source, "--collection", "doubt", "--yes", "--json").said["items"] == 2
    assert do("ingest", source, "--collection", "doubt", "--text-field", "b", "--id-field", "a").status == 0


def test_ids_as_people_have_them(enrich: Enrich) -> None:
    ids = ("AB 12", " AB12", "AB12", "00123", "1.0", "=A1", " ", "A\u00a0B", "N/A")
    text = "id,text\n" + "".join(f"{id_},thing {number}\n" for number, id_ in enumerate(ids))
    done, rows = enrich(text, status=3)
    assert {"AB 12", "AB12", "00123", "1.0", "=A1"} <= {row["id"] for row in rows if row["band"]}
    assert done.said["rows"] == 9
    assert done.said["rows"] == done.said["items"] + done.said["failed"]
    assert done.said["errors_by_kind"]["no_id"]["rows"] == 2
    assert not any(row["error"] for row in rows if row["band"]), "what is kept as it stands is told in the summary"
    assert {"id_with_blanks_around", "id_with_a_point"} == set(done.said["findings"])
    assert [row["text"] for row in rows] == [f"thing {number}" for number in range(9)]


def test_exit_codes(do: Do, enrich: Enrich, tmp_path: Path, collection: str) -> None:
    empty = table(tmp_path / "empty.csv", "id,text\n")
    bad = table(tmp_path / "bad.csv", "id,text\n,no id\n7,\n")
    for source in (empty, bad):
        for told_to in (("ingest", source), ("enrich", source, str(tmp_path / "o.csv")), ("pairs", source)):
            assert do(*told_to, "--collection", collection).status == 1
    assert written(str(tmp_path / "o.csv"))[1] | {"id": "7", "text": ""} == written(str(tmp_path / "o.csv"))[1]
    told = do("ingest", bad, "--collection", collection)
    assert "2 rows read: 0 items, 2 failed; 0 repeated ids, 1 empty texts" in told.out
    assert "no_id                             1  first in row 1: no id in column 'id'" in told.out
    assert do("ingest", table(tmp_path / "good.csv", "id,text\n1,x y\n"), "--collection", collection).status == 0
    assert do("ingest", table(tmp_path / "half.csv", "id,text\n1,x y\n2,\n"), "--collection", collection).status == 3


def test_what_has_been_sent_can_be_taken_back(do: Do, collection: str, tmp_path: Path, client: Client) -> None:
    source = table(tmp_path / "in.csv", YEARS)
    options = (source, "--collection", collection, "--on-repeat", "suffix", "--json")
    assert do("ingest", *options).said["items"] == 4
    assert len(exported(do, collection, tmp_path / "before.jsonl")) == 4
    after = client.last_event()
    assert do("ingest", *options, "--take-back").said["deleted"] == 4
    assert exported(do, collection, tmp_path / "after.jsonl") == {}
    assert isinstance(after, EntryId)
    assert do("ingest", *options).said["sent"] == 4, "the next run begins with the first row"


def test_a_wrong_option_is_reported_before_anything_is_sent(do: Do, client: Client, tmp_path: Path) -> None:
    source, before = table(tmp_path / "in.csv", YEARS), client.log.length()
    done = do("ingest", source, "--id-field", "nmber")
    assert done.status == 1
    assert "no column 'nmber'; there are 'number', 'subject'" in done.err
    assert "nothing has been sent" in done.err
    assert client.log.length() == before


def test_notes_of_an_earlier_run_that_were_cut_short(do: Do, shared: Settings, tmp_path: Path, collection: str) -> None:
    source = table(tmp_path / "in.csv", YEARS)
    options = (source, "--collection", collection, "--on-repeat", "last", "--json")
    folder = shared.state_dir / "sent"
    folder.mkdir(parents=True, exist_ok=True)
    known = set(folder.iterdir())
    done = do("ingest", *options, "--no-wait")
    assert done.status == 0
    assert set(folder.iterdir()) == known, "a file that is through leaves nothing"
    from celery_recommender.cli.input.checkpoint import Checkpoint

    class Kept(Checkpoint):
        def finish(self) -> None:
            """As if the machine had gone down."""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("celery_recommender.cli.data.ingest.Checkpoint", Kept)
        assert do("ingest", *options).status == 0
    (path,) = set(folder.iterdir()) - known
    path.write_text(path.read_text()[:20])
    done = do("ingest", *options)
    assert done.status == 0
    assert "cannot be read: every row is sent" in done.err
    assert done.said["sent"] == 4


@pytest.mark.parametrize(("answer", "status", "told"), [("n", 1, "nothing has been sent"), ("y", 0, "")])
def test_on_a_terminal_the_guess_is_asked_for(
    shared: Settings, client: Client, tmp_path: Path, collection: str, answer: str, status: int, told: str
) -> None:
    source, before = table(tmp_path / "in.csv", "id,text\n1,the printer is on fire\n"), client.last_event()
    person, terminal = pty.openpty()
    arguments = command("ingest", source, "--collection", collection)
    with subprocess.Popen(
        arguments, env=environment(shared), stdin=terminal, stdout=subprocess.DEVNULL, stderr=terminal
    ) as running_command:
        os.close(terminal)
        shown = read_until(person, "Go on?")
        assert client.last_event() == before, "nothing is sent before the answer"
        os.write(person, f"{answer}\n".encode())
        shown += read_until(person, None)
        assert running_command.wait(60) == status
    os.close(person)
    assert "row 1: 1  the printer is on fire" in shown
    assert told in shown
    assert (client.last_event() == before) is (answer == "n")


def read_until(descriptor: int, wanted: str | None) -> str:
    """What a terminal shows until some words, or to its end."""
    shown, deadline_s = b"", time.monotonic() + 60
    while wanted is None or wanted.encode() not in shown:
        ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline_s - time.monotonic()))
        assert ready, f"no {wanted!r} within a minute: {shown!r}"
        try:
            part = os.read(descriptor, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    return shown.decode(errors="replace")
