"""Whether a refactoring changes nothing: recorded logs give the same events, state and answers, to the byte.

    RECOMMENDER_TEST_DATA=... python -m tools.same_events record DIR
    python -m tools.same_events compare DIR [--sentences FILE] [--newer] [--only LOG ...]
    python -m tools.same_events measure DIR --log LOG

`record` writes the logs of `tools/same_logs.py`, the vectors of their texts, what the code of now makes of each log in
batches of 1, 7 and 500, and for each log a state directory after its first half. Vectors that are in DIR/vectors
already, from an earlier recording, are not computed again. `compare` loads no model: it plays the logs, opens copies of
the states and goes on with the second halves, and prints the first difference of each run.
Both are for one machine: another processor may round vectors' products in another way.

Compared, byte for byte: the events that `process` returns, every table of the database, and the answers to questions.
Left out:

* `timings` of events, wherever they stand: they are measured. The clock that measures them stands still;
* the count of bytes in the note "events kept": it goes with the sentences in them. How far it is from what is there is
  compared;
* `vectors.data` and other bytes stand for themselves by their SHA-256;
* the shadow tables of the word index (`words_data` and so on): segments are SQLite's own affair. Which item has which
  term is read through `fts5vocab` instead;
* files of index snapshots: derived. What they do is seen when a state is opened and goes on.

`--sentences FILE` is a JSON object {old: new} of sentences for people, with placeholders ("{count} items" ->
"{count} of them"). It is applied in texts of reasons, explanations and messages, and nowhere else.

With `--newer`, fields, columns and tables that the recording does not have are no difference, nor is the version of the
schema: for a change that adds to events or to the state.

`measure` prints the processor time of an item, in milliseconds: of `process` alone, with recorded vectors.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from celery_recommender.broker.commands.log import decode

# All that is imported of the product. Whoever moves modules changes these lines, and the attributes of the engine
# that `questions` names.
from recommender_engine import Entry, EntryId, Recommender, open_recommender
from recommender_engine.embedding import KNOWN_MODELS, Encoder, ModelCatalogue
from recommender_engine.errors import RecommenderError
from recommender_engine.evaluation.vectors import RecordedEncoder
from recommender_engine.items import DEFAULT_MODEL, Item, ItemKey, UpsertItem
from recommender_engine.items.moves import FIRST_PAGE
from recommender_engine.testing import DeterministicEncoder

DATABASE = "state.sqlite3"
SIZES = (1, 7, 500)
HALVES = "halves"  # the run that opens a kept state
HALVES_BATCH = 64
ASKED = 12
_DIGESTS = ("sha256",)  # of what may have more fields now
EVENTS_KEPT = "events kept"
EVENTS_KEPT_MS = 48 * 3600 * 1000

# Models of each kind of log, as files of recorded vectors under names of models.
MODELS = {
    "real": {DEFAULT_MODEL: "real", "other": "other"},
    "deterministic": {DEFAULT_MODEL: "deterministic"},
}
MAKERS: dict[str, Callable[[], Encoder]] = {
    "real": lambda: ModelCatalogue(KNOWN_MODELS, backend="openvino-bfloat16").encoder(DEFAULT_MODEL),
    "deterministic": DeterministicEncoder,
    "other": lambda: DeterministicEncoder(16),
}

Lines = list[tuple[str, str]]
"""What a run leaves behind: the channel (events, a table, a question), and a line of it."""


class Difference(Exception):
    """The code does not do what was recorded."""


# -- logs --------------------------------------------------------------------------------------------------------------


class RecordedLog(NamedTuple):
    """A log as it is kept.

    Attributes:
        name: of the log.
        models: a key of `MODELS`.
        partition: whose log it is.
        entries: one JSON object each: id, fields, and how an owner decodes them.
    """

    name: str
    models: str
    partition: str
    entries: list[dict[str, Any]]

    def decoded(self) -> list[Entry]:
        """The entries as an owner hands them to the engine."""
        return [decoded(one) for one in self.entries]


def decoded(said: dict[str, Any]) -> Entry:
    fields = {name.encode(): value.encode("latin-1") for name, value in said["fields"].items()}
    id_ = EntryId.parse(said["id"])
    entry = decode(id_, fields, said.get("now_ms", id_.ms), said.get("quarantined"), lambda *_: said["permitted"])
    return replace(entry, elsewhere=said.get("elsewhere"))


def write_lines(path: Path, lines: Sequence[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8", compresslevel=3) as file:
        file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def read_lines(path: Path) -> list[Any]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def read_log(directory: Path, name: str) -> RecordedLog:
    head, *entries = read_lines(directory / "logs" / f"{name}.gz")
    return RecordedLog(name, head["models"], head["partition"], entries)


# -- vectors -----------------------------------------------------------------------------------------------------------


class Vectors:
    """`Encoders` with recorded vectors; unless they are being recorded, a text that has none is a difference."""

    def __init__(self, directory: Path, models: str, *, record: bool = False) -> None:
        self._encoders = {}
        for name, file in MODELS[models].items():
            make = MAKERS[file] if record else _unheard_of
            self._encoders[name] = RecordedEncoder(make, directory / "vectors" / f"{file}.npz")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._encoders)

    def encoder(self, name: str) -> Encoder:
        return self._encoders[name]

    def save(self) -> None:
        for encoder in self._encoders.values():
            encoder.save()


def _unheard_of() -> Encoder:
    raise Difference("the model is asked for a text for which it was not asked before")


# -- a run -------------------------------------------------------------------------------------------------------------


def opened(state: Path | None, log: RecordedLog, vectors: Vectors) -> Recommender:
    return open_recommender(state, vectors, partition=log.partition, index_threads=1)


def play(engine: Recommender, entries: Sequence[Entry], size: int) -> Lines:
    """The events of entries in batches."""
    lines: Lines = []
    for start in range(0, len(entries), size):
        for event in engine.process(entries[start : start + size]):
            silent = " silent" if event.silent else ""
            lines.append(("events", f"{event.id}{silent} {untimed(event.to_json('/recommender/same'))}"))
    return lines


def untimed(text: str) -> str:
    """Without timings, also in JSON that stands in a string of JSON."""
    return re.sub(r'(\\*"timings\\*": ?)\{[^{}]*\}', r"\1{}", text)


def run(directory: Path, name: str, size: int | str, vectors: Vectors | None = None) -> Lines:
    """What a log leaves behind, played in batches of a size, or in two halves with a restart between."""
    log = read_log(directory, name)
    vectors = vectors or Vectors(directory, log.models)
    with tempfile.TemporaryDirectory(prefix="same-events-", dir=_fast_folder()) as folder:
        state, entries = Path(folder) / "state", log.decoded()
        if size == HALVES:
            half = len(entries) // 2
            kept = directory / "states" / name
            if not kept.exists():
                keep_state(kept, log, entries[:half], vectors)
            shutil.copytree(kept, state)
            entries, size = entries[half:], HALVES_BATCH
        with closing(opened(state, log, vectors)) as engine:
            lines = play(engine, entries, int(size))
            lines += [("questions", line) for line in questions(engine, log)]
        return lines + list(dump(state / DATABASE))


def keep_state(kept: Path, log: RecordedLog, entries: Sequence[Entry], vectors: Vectors) -> None:
    """The state after some entries, with the upkeep that an owner does."""
    part = kept.with_name(f"{kept.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.parent.mkdir(parents=True, exist_ok=True)
    with closing(opened(part, log, vectors)) as engine:
        play(engine, entries, HALVES_BATCH)
        engine.snapshot(all_changes=True)
        engine.acknowledge(delivered=engine.last_event)
        engine.prune(EVENTS_KEPT_MS, engine.last_event)
    part.rename(kept)


def _fast_folder() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # a commit for each item waits for a disk otherwise


# -- the database ------------------------------------------------------------------------------------------------------


def dump(path: Path) -> Iterator[tuple[str, str]]:
    """Every row of every table, in an order of its own; what is left out says the module's docstring."""
    with closing(sqlite3.connect(path)) as database:
        yield "schema", str(database.execute("PRAGMA user_version").fetchone()[0])
        found = database.execute("SELECT name, sql FROM sqlite_schema WHERE type='table' ORDER BY name").fetchall()
        virtual = {name for name, sql in found if sql and sql.startswith("CREATE VIRTUAL")}
        for name, _ in found:
            if any(name.startswith(f"{one}_") for one in virtual):
                continue
            if name in virtual:
                database.execute(f"CREATE VIRTUAL TABLE temp.terms_of USING fts5vocab(main, {name}, 'instance')")
                rows = database.execute("SELECT doc, group_concat(term, ' ') FROM temp.terms_of GROUP BY doc")
                yield from ((f"table {name}", line) for line in sorted(json.dumps(row) for row in rows))
                database.execute("DROP TABLE temp.terms_of")
                continue
            cursor = database.execute(f'SELECT * FROM "{name}"')
            columns = [column[0] for column in cursor.description]
            rows_said = [dict(zip(columns, map(_plain, row), strict=True)) for row in cursor]
            for row in rows_said:
                if row.get("key") == EVENTS_KEPT:
                    rows, size = map(int, row["value"].split())
                    row["value"] = f"{rows} events, {size - _bytes_of_events(database):+} bytes"
            for line in sorted(json.dumps(row, ensure_ascii=False) for row in rows_said):
                yield f"table {name}", line


def _bytes_of_events(database: sqlite3.Connection) -> int:
    return int(database.execute("SELECT total(length(CAST(event AS BLOB))) FROM outbox").fetchone()[0])


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"{len(value)} bytes {hashlib.sha256(value).hexdigest()[:24]}"
    return untimed(value) if isinstance(value, str) else value


# -- questions ---------------------------------------------------------------------------------------------------------


def questions(engine: Recommender, log: RecordedLog) -> Iterator[str]:
    """What the engine answers about a sample of what a log was about, errors included."""
    entries = log.decoded()
    items = list({(one.command.collection, one.command.id): one.command for one in entries if _arrives(one)}.values())
    sample = items[:: max(1, len(items) // ASKED)]
    collections = sorted({item.collection for item in items} | {"nowhere"})
    keys = [one.key for one in entries if one.key is not None]

    def ask(label: str, question: Callable[[], Any]) -> str:
        try:
            said = _json(question())
        except RecommenderError as error:
            seen = {name: getattr(error, name, None) for name in ("code", "field")}
            said = {"error": type(error).__name__, **seen, "message": str(error)}
        return f"{label} {untimed(json.dumps(said, ensure_ascii=False))}"

    yield ask("stats", engine.stats)
    yield ask("sizes", engine.sizes)
    yield ask("settings", engine.settings)
    yield ask("due_ms", engine.due_ms)
    yield ask("review_share", engine.review_share)
    yield ask("position", lambda: (str(engine.position), str(engine.last_event), str(engine.delivered)))
    yield ask("redactions", lambda: [str(id_) for id_ in engine.outbox.redactions()])
    replies = engine.outbox.replies(0, 1000)
    yield ask("replies", lambda: [(one.id, one.reply_to, one.outcome.id, one.outcome.event) for one in replies])
    for name in collections:
        yield ask(f"has {name}", lambda name=name: engine.has(name))
        yield ask(f"answers {name}", lambda name=name: engine.answers(name))
        yield ask(f"export {name}", lambda name=name: engine.export(name, 0, 20))
        yield ask(f"promises {name}", lambda name=name: engine.promises.of(name))
        yield ask(f"calibrating {name}", lambda name=name: engine.calibrating.propose(name, None, 3))
        yield ask(f"move {name}", lambda name=name: engine.moving.status(name))
        for page in _pages(engine, name):
            yield ask(f"page {name}", lambda page=page: page)
    yield ask("forwards", lambda: [(one.id, one.target, one.command) for one in engine.moves.forwards(1000)])
    for key in dict.fromkeys(keys[:: max(1, len(keys) // ASKED)]):
        yield ask(f"outcome {key}", lambda key=key: engine.outcome(key))
        yield ask(f"outcome {key} there", lambda key=key: engine.outcome(key, collections[0]))
    for one, other in zip(sample, [*sample[1:], *sample[:1]], strict=True):
        place = f"{one.collection} {one.id}"
        mine, theirs, text = _item(one), _item(other), (one.text or " ".join((one.fields or {}).values()))[:400]
        yield ask(f"get {place}", lambda one=one: engine.get(one.id, one.collection))
        yield ask(f"recommend {place}", lambda one=one: engine.recommend(one.id, one.collection, 5))
        yield ask(f"search {place}", lambda one=one, text=text: engine.search(text, one.collection, 5))
        yield ask(f"compare alone {place}", lambda a=mine, b=theirs: engine.compare(a, b))
        named = ItemKey(id=one.id, collection=one.collection), ItemKey(id=other.id, collection=one.collection)
        yield ask(f"compare stored {place}", lambda n=named, c=one.collection: engine.compare(*n, collection=c))
        yield ask(f"compare new {place}", lambda m=mine, n=named: engine.compare(m, n[1], collection=m.collection))
        yield ask(f"compare keys {place}", lambda n=named: engine.compare(*n))
    yield ask("get nothing", lambda: engine.get("is not there", collections[0]))
    yield ask("recommend nothing", lambda: engine.recommend("is not there", collections[0], 5))
    yield ask("search nothing", lambda: engine.search(" ", collections[0], 5))


def _arrives(entry: Entry) -> bool:
    return isinstance(entry.command, UpsertItem)


def _item(command: UpsertItem) -> Item:
    return Item.model_validate({name: getattr(command, name) for name in Item.model_fields})


def _pages(engine: Recommender, collection: str) -> list[Any]:
    """A collection as it goes to another partition, if it is about to."""
    pages, page = [], FIRST_PAGE
    try:
        while page is not None:
            found = engine.moving.page(collection, page)
            pages.append({"data": found.data, "items": found.items, "next": found.next})
            page = found.next
    except RecommenderError as error:
        pages.append({"error": type(error).__name__, "code": getattr(error, "code", None)})
    return pages


def _json(value: Any) -> Any:
    """A value as JSON has it."""
    if hasattr(value, "model_dump"):
        return _json(value.model_dump(mode="json"))
    if isinstance(value, dict):
        return {str(key): _json(part) for key, part in value.items()}
    if isinstance(value, EntryId):
        return str(value)
    if isinstance(value, list | tuple):
        return [_json(part) for part in value]
    if isinstance(value, str):
        return untimed(value)
    return value if value is None or isinstance(value, bool | int | float) else untimed(str(value))


# -- sentences ---------------------------------------------------------------------------------------------------------


class Sentences:
    """A table old -> new, for what people read and nothing else."""

    def __init__(self, table: dict[str, str]) -> None:
        # A longer sentence may contain a shorter one.
        self._new = [table[old] for old in sorted(table, key=len, reverse=True)]
        self._names: list[dict[str, str]] = []
        parts = []
        for number, old in enumerate(sorted(table, key=len, reverse=True)):
            names: dict[str, str] = {}
            pieces = re.split(r"\{(\w+)\}", old)
            pattern = re.escape(pieces[0])
            for name, text in zip(pieces[1::2], pieces[2::2], strict=True):
                names[name] = f"p{number}_{name}"
                pattern += f"(?P<{names[name]}>.+?)" + re.escape(text)
            self._names.append(names)
            parts.append(f"(?P<s{number}>{pattern})")
        self._pattern = re.compile("|".join(parts), re.DOTALL) if parts else None

    def same(self, was: tuple[str, str] | None, now: tuple[str, str] | None) -> bool:
        """Whether two lines are the same but for sentences of the table; any of these may also be the old one still.

        What a state or a log of before holds is told in the words of before.
        """
        if self._pattern is None or was is None or now is None:
            return was == now
        return was[0] == now[0] and self._same_text(was[1], now[1])

    def _same_text(self, was: str, now: str) -> bool:
        """The same in the JSON that both end with, if they do."""
        if was == now:
            return True
        start = next((place for place, sign in enumerate(was) if sign in "{["), len(was))
        try:
            parsed = json.loads(was[start:]), json.loads(now[start:])
        except ValueError:
            return False
        return was[:start] == now[:start] and self._same_value(*parsed)

    def _same_value(self, was: Any, now: Any) -> bool:
        if type(was) is not type(now):
            return False
        if isinstance(was, list):
            return len(was) == len(now) and all(map(self._same_value, was, now))
        if isinstance(was, dict):
            return list(was) == list(now) and all(self._same_member(was, name, now[name]) for name in was)
        return self._same_text(was, now) if isinstance(was, str) else bool(was == now)

    def _same_member(self, holder: dict[str, Any], name: str, now: Any) -> bool:
        was = holder[name]
        for_people = name in {"explanation", "message"} or (name == "text" and {"code", "detail"} <= holder.keys())
        if for_people and isinstance(was, str) and self._reworded(was) == now:
            return True
        return self._same_value(was, now)

    def _reworded(self, text: str) -> str:
        assert self._pattern is not None

        def new(found: re.Match[str]) -> str:
            number = next(n for n in range(len(self._new)) if found[f"s{n}"] is not None)
            names = self._names[number]
            return re.sub(r"\{(\w+)\}", lambda name: found[names[name[1]]], self._new[number])

        return self._pattern.sub(new, text)


# -- differences -------------------------------------------------------------------------------------------------------


def agrees(old: Any, new: Any) -> bool:
    """Whether a value of now says what the recorded one does, and perhaps more; also JSON in strings of JSON."""
    if isinstance(old, dict) and isinstance(new, dict):
        return all(name in new and agrees(value, new[name]) for name, value in old.items() if name not in _DIGESTS)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(agrees, old, new))
    if isinstance(old, str) and isinstance(new, str) and old != new and old[:1] == new[:1] and old[:1] in ("{", "["):
        try:
            return agrees(json.loads(old), json.loads(new))
        except ValueError:
            return False
    return bool(old == new)


def says_as_much(was: tuple[str, str] | None, now: tuple[str, str] | None) -> bool:
    """Whether a line of now agrees with the recorded one but for what is newer."""
    if was is None or now is None or was[0] != now[0]:
        return False
    (head, old), (other, new) = (_parts(line) for _, line in (was, now))
    return was[0] == "schema" or (head == other and agrees(old, new))


def _parts(line: str) -> tuple[str, str]:
    """What stands before the JSON of a line, and the JSON."""
    start = next((place for place, letter in enumerate(line) if letter in "{["), len(line))
    return line[:start], line[start:]


def difference(old: Sequence[Sequence[str]], new: Lines, sentences: Sentences, *, newer: bool = False) -> str | None:
    """The first difference in words, or ``None``.

    Args:
        old: the recorded lines.
        new: those of now.
        sentences: how sentences for people may differ.
        newer: whether what the recording does not have is no difference.
    """
    if newer:
        channels = {line[0] for line in old}
        new = [line for line in new if line[0] in channels or not line[0].startswith("table ")]
    for number in range(max(len(old), len(new))):
        was = None if number >= len(old) else (old[number][0], old[number][1])
        now = None if number >= len(new) else new[number]
        if not sentences.same(was, now) and not (newer and says_as_much(was, now)):
            behind = old[number - 1][1][:200] if number else "(the first line)"
            return f"line {number + 1}, behind: {behind}\n{_shown(was, now)}"
    return None


def _shown(was: tuple[str, str] | None, now: tuple[str, str] | None) -> str:
    if was is None or now is None:
        return f"  was: {_cut(was)}\n  now: {_cut(now)}"
    if was[0] != now[0]:
        return f"  was in {was[0]}: {_cut(was)}\n  now in {now[0]}: {_cut(now)}"
    place = next((n for n, (a, b) in enumerate(zip(was[1], now[1], strict=False)) if a != b), -1)
    place = min(len(was[1]), len(now[1])) if place < 0 else place
    head, around = was[1][:160], slice(max(0, place - 120), place + 200)
    return f"  {was[0]}: {head}\n  at character {place}\n  was: …{was[1][around]}\n  now: …{now[1][around]}"


def _cut(line: tuple[str, str] | None) -> str:
    return "(nothing)" if line is None else f"{line[0]} {line[1][:400]}"


# -- commands ----------------------------------------------------------------------------------------------------------


def runs_of(names: Sequence[str], directory: Path) -> list[tuple[str, int | str]]:
    """All runs of some logs, the longest first."""
    found = [(name, size) for name in names for size in (*SIZES, HALVES)]
    length = {name: (directory / "logs" / f"{name}.gz").stat().st_size for name in names}
    return sorted(found, key=lambda one: (-length[one[0]], one[0], str(one[1])))


def tried(
    directory: Path, name: str, size: int | str, record: bool, sentences: dict[str, str], newer: bool
) -> str | None:
    """Record a run, or compare it: what is different, if anything."""
    path = directory / "runs" / f"{name}.{size}.gz"
    try:
        with patch("time.perf_counter", lambda: 0.0):  # the state counts bytes of events, and timings have digits
            lines = run(directory, name, size)
    except Exception as error:
        return "".join(traceback.format_exception(error)[-6:])
    if record:
        write_lines(path, lines)
        return None
    return difference(read_lines(path), lines, Sentences(sentences), newer=newer)


def all_runs(
    directory: Path,
    names: Sequence[str],
    jobs: int,
    *,
    record: bool,
    sentences: dict[str, str] | None = None,
    newer: bool = False,
) -> int:
    """How many runs are different, or could not be recorded."""
    # Products of matrices are rounded by how they are cut among threads.
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    todo, different = runs_of(names, directory), 0
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        started = {pool.submit(tried, directory, *one, record, sentences or {}, newer): one for one in todo}
        for done in as_completed(started):
            name, size = started[done]
            if (found := done.result()) is not None:
                different += 1
                print(f"{name}, {'in two halves' if size == HALVES else f'in batches of {size}'}: {found}", flush=True)
    print(f"{len(todo)} runs of {len(names)} logs, {different} {'failed' if record else 'different'}")
    return different


def record(directory: Path, data: Path, only: Sequence[str], jobs: int) -> int:
    from tools.same_logs import recorded_logs  # what makes logs needs more of the product than what plays them

    (directory / "vectors").mkdir(parents=True, exist_ok=True)
    if [one.name for one in directory.iterdir()] != ["vectors"]:
        sys.exit(f"{directory} holds more than vectors")
    names = []
    vectors = {models: Vectors(directory, models, record=True) for models in MODELS}
    for log in recorded_logs(data):
        if only and log.name not in only:
            continue
        head = {"models": log.models, "partition": log.partition}
        write_lines(directory / "logs" / f"{log.name}.gz", [head, *log.entries])
        run(directory, log.name, max(SIZES), vectors[log.models])  # asks for every text
        vectors[log.models].save()
        names.append(log.name)
        print(f"{log.name}: {len(log.entries)} commands", flush=True)
    head_of = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    about = {"revision": head_of.stdout.strip(), "logs": names}
    (directory / "about.json").write_text(json.dumps(about, indent=1) + "\n")
    return all_runs(directory, names, jobs, record=True)


def compare(directory: Path, only: Sequence[str], jobs: int, table: Path | None, *, newer: bool) -> int:
    about = json.loads((directory / "about.json").read_text())
    print(f"recorded by {about['revision']}")
    sentences = json.loads(table.read_text(encoding="utf-8")) if table else {}
    names = [name for name in about["logs"] if not only or name in only]
    return all_runs(directory, names, jobs, record=False, sentences=sentences, newer=newer)


def measure(directory: Path, name: str, size: int) -> None:
    log = read_log(directory, name)
    entries = log.decoded()
    with closing(opened(None, log, Vectors(directory, log.models))) as engine:
        engine.warm_up()
        started = time.process_time()
        for start in range(0, len(entries), size):
            engine.process(entries[start : start + size])
        print(round((time.process_time() - started) * 1000 / len(entries), 4))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="python -m tools.same_events"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, does in (("record", "write what the code of now does"), ("compare", "play again"), ("measure", "time")):
        command = commands.add_parser(name, help=does)
        command.add_argument("directory", type=Path)
        if name != "measure":
            command.add_argument("--jobs", type=int, default=2, help="processes [2]")
            command.add_argument("--only", nargs="+", default=(), help="names of logs")
        if name == "compare":
            command.add_argument("--sentences", type=Path, help="JSON object old -> new of sentences for people")
            command.add_argument("--newer", action="store_true", help="what the recording does not have may be there")
        if name == "measure":
            command.add_argument("--log", required=True)
            command.add_argument("--size", type=int, default=64, help="of a batch [64]")
    asked = parser.parse_args()
    if asked.command == "measure":
        measure(asked.directory, asked.log, asked.size)
    elif asked.command == "record":
        sys.exit(bool(record(asked.directory, Path(os.environ["RECOMMENDER_TEST_DATA"]), asked.only, asked.jobs)))
    else:
        sys.exit(bool(compare(asked.directory, asked.only, asked.jobs, asked.sentences, newer=asked.newer)))


if __name__ == "__main__":
    main()
