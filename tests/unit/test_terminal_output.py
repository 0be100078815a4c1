"""Texts of strangers on the terminal: shown, never acted on."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console
from rich.progress import TextColumn

from celery_recommender.cli import common
from celery_recommender.cli.doctor import command as doctor
from celery_recommender.cli.input import outcomes
from celery_recommender.cli.main import _refusal
from celery_recommender.cli.operate import stats
from celery_recommender.cli.output.event_lines import event_line, laid_out
from celery_recommender.cli.run import demo
from celery_recommender.cli.verdicts import questions
from celery_recommender.frames.verdicts import error_of

MARKUP = "[/x] [red]a[/] :smile: \\[b]"
CONTROLS = "\x1b[31m\x9b2J\r\n\u202e\x7f"
NASTY = MARKUP + CONTROLS
SHOWN = MARKUP + "·[31m·2J····"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What the commands print, on a wide terminal without colours."""
    written = io.StringIO()
    # The same console as in production, but for where it writes to.
    for module in (questions, stats, demo, outcomes, doctor):
        monkeypatch.setattr(module.out, "_file", written)  # to set `file` back would pin it to what it is now
        monkeypatch.setattr(module.out, "width", 200)
    return written


def test_printable_keeps_what_can_be_printed() -> None:
    assert common.printable(NASTY).plain == SHOWN
    assert common.printable("Größe 7, ok 🖨").plain == "Größe 7, ok 🖨"
    assert common.printable(7).plain == "7"
    console = Console(file=io.StringIO(), width=200, markup=True)
    console.print(common.printable(NASTY))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == SHOWN + "\n"


@pytest.mark.parametrize("indent", [None, 2])
def test_json_for_the_terminal_escapes_controls_only(indent: int | None) -> None:
    value = {"text": NASTY + "\ud83d\u2028Größe 🖨 \U000e0001", "list": [1, None, "\\u0041"]}
    text = common.json_text(value, indent)
    assert json.loads(text) == value
    assert all(character.isprintable() for character in text.replace("\n", ""))
    assert "Größe 🖨" in text
    assert ("\n" in text) is (indent is not None)


def test_stats_shows_any_collection_name(terminal: io.StringIO) -> None:
    stats._show(
        {
            "partition": "default",
            "owner": {"state": "running", "pid": 1, "host": NASTY},
            "streams": {"commands": 3, "events": 1234},
            "position": "1-0",
            "kept_bytes": {"texts": 1 << 20},
            "collections": {
                NASTY: {
                    "items": 1,
                    "points": 1,
                    "index": "flat",
                    "recall": None,
                    "review_share": 0.1,
                    "model": "[/]",
                    "not_measured": [
                        {"view": "alone", "kind": "long_prose", "answers": 34, "missing": 1},
                        {"view": "stream", "kind": "long_prose", "answers": 0, "missing": 35},
                        {"view": "stream", "kind": "with_codes", "answers": 0, "missing": 35},
                        {"view": "stream", "kind": "short_prose", "answers": 0, "missing": None},
                    ],
                    "list_weights": {
                        "by_interactions": {"1 to 4": "text", "5 or more": "prior"},
                        "judged": 40,
                        "why": "as [measured]",
                    },
                }
            },
        }
    )
    shown = " ".join(terminal.getvalue().split())
    stream = (
        "long prose, names with codes in a stream: at least 35 more answers; short prose in a stream: no answers can"
    )
    assert f"{stream} measure it; long prose alone: at least 1 more answer" in shown
    assert terminal.getvalue().count(SHOWN) == 3
    assert "3 commands, 1,234 events" in terminal.getvalue()


def test_a_verdict_is_shown_as_it_is(terminal: io.StringIO) -> None:
    turning = {"code": "same", "text": NASTY, "detail": {"without": "similar"}}
    other = {"code": "other", "text": "says nothing more", "detail": {}}
    verdict = {"band": "review", "similarity": 0.5, "probability": 0.25, "reasons": [turning, other]}
    questions._print_verdict({**verdict, "explanation": NASTY})
    assert terminal.getvalue() == (
        f"review, probability 0.25, similarity 0.500\n  {SHOWN}\n  it would be 'similar' without: {SHOWN}\n"
    )


def test_the_demo_shows_texts_as_they_are(terminal: io.StringIO) -> None:
    run = demo._Run(quiet=False)
    similar = [{"id": f"s{n}", "score": 0.9} for n in range(3)]
    verdict = {"item_id": "i", "duplicate_of": None, "recommendations": similar}
    run._collections[NASTY] = demo._Sent(texts={"i": NASTY, "s0": NASTY}, verdicts={"i": verdict})
    run.show(run.summary(1.0))
    assert terminal.getvalue().count(SHOWN) == 4


def test_the_progress_bar_shows_any_collection() -> None:
    bar = common.progress_bar()
    bar.add_task("[/x]: sent", total=1)
    description = bar.columns[0]
    assert isinstance(description, TextColumn)
    assert description.render(bar.tasks[0]).plain == "[/x]: sent"


@pytest.mark.parametrize(
    ("type_", "data"),
    [
        (
            "recommender.item.processed.v1",
            {"band": "duplicate", "item_id": NASTY, "duplicate_of": NASTY, "reasons": [{"text": NASTY}]},
        ),
        (
            "recommender.item.revised.v1",
            {
                "item_id": NASTY,
                "cause": "feedback",
                "previous_band": "duplicate",
                "previous_duplicate_of": NASTY,
                "band": "review",
                "duplicate_of": None,
                "matched_id": NASTY,
                "reasons": [],
                "explanation": NASTY,
            },
        ),
        (
            "recommender.group.changed.v1",
            {
                "group": "g1",
                "change": "merged",
                "items": [NASTY],
                "other_group": "g2",
                "canonical_id": NASTY,
                "size": 2,
            },
        ),
        (
            "recommender.feedback.accepted.v1",
            {"item_id": NASTY, "other_id": NASTY, "answer": "same", "by": NASTY, "probability": 0.5, "answers": 1},
        ),
        ("recommender.item.deleted.v1", {"item_id": NASTY, "collection": NASTY, "erased": False}),
    ],
)
def test_an_event_is_one_line(type_: str, data: dict[str, Any]) -> None:
    line = event_line({"type": type_, "data": data}).plain
    assert line.isprintable()
    assert line.count(SHOWN) >= 2


def test_an_error_is_one_line() -> None:
    assert _refusal(f"unknown_field: {NASTY}").message == f"unknown_field: {SHOWN}"


@pytest.mark.parametrize("type_", ["recommender.item.processed.v1", "recommender.command.rejected.v1", "unheard.of"])
def test_an_erased_outcome_is_an_error_of_its_row(type_: str) -> None:
    command = {"id": "1-0", "key": "run 1"}
    found = error_of(7, {"type": type_, "data": {"command": command, "erased": True}})
    assert found is not None
    assert (found.number, found.error) == (7, "erased meanwhile")


def test_other_outcomes_of_a_row() -> None:
    rejected = {"command": {}, "code": "empty_text", "message": "nothing to see"}
    found = error_of(1, {"type": "recommender.command.rejected.v1", "data": rejected})
    assert found is not None
    assert (found.error, found.kind) == ("empty_text: nothing to see", "empty_text")
    assert error_of(1, {"type": "recommender.item.processed.v1", "data": {"command": {}}}) is None
    assert "24 hours" in str(error_of(1, None))


GROUP = {"group": "g1", "items": ["a", "b"], "other_group": "g2", "canonical_id": "c", "size": 2}


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"change": "joined"}, "a, b joined g1 (2 items, c first)"),
        ({"change": "left", "size": 1}, "a, b left g1 (1 item, c first)"),
        ({"change": "merged"}, "g2 (a, b) became part of g1 (2 items, c first)"),
        ({"change": "split"}, "a, b split off g1 as g2 (2 items, c first)"),
        ({"change": "canonical_changed", "items": ["c"]}, "c stands for g1 now (2 items, c first)"),
        ({"change": "left", "size": 0, "canonical_id": None}, "a, b left g1 (empty)"),
        ({"change": "joined", "items": list("abcdefg")}, "a, b, c, d, e … joined g1 (2 items, c first)"),
    ],
)
def test_a_changed_group_is_described_in_words(change: dict[str, Any], line: str) -> None:
    told = event_line({"type": "recommender.group.changed.v1", "data": {**GROUP, **change}}).plain
    assert told == f"{'group':10} {line}"


@pytest.mark.parametrize(
    ("kind", "data", "line"),
    [
        (
            "command.rejected",
            {"item_id": "T-1", "code": "unknown_field", "message": "txet: no such field"},
            "rejected   T-1: unknown_field: txet: no such field",
        ),
        ("command.rejected", {"item_id": None, "code": "not_json", "message": "no"}, "rejected   not_json: no"),
        ("command.ignored", {"item_id": "a", "reason": "older_version"}, "ignored    a in shop: an older version"),
        ("item.deleted", {"item_id": "a", "erased": False}, "deleted    a in shop"),
        ("item.deleted", {"item_id": "a", "erased": False, "expired": True}, "deleted    a in shop: its time was up"),
        ("item.deleted", {"item_id": "a", "erased": True}, "deleted    a in shop with every trace of its text"),
        ("item.patched", {"item_id": "a", "attributes": {}}, "patched    a in shop: its attributes have changed"),
        (
            "items.backfilled",
            {"commands": 1200, "bands": {"new": 1100, "review": 0, "duplicate": 100}},
            "backfill   1,200 silent commands in shop: 1,100 new, 100 duplicate",
        ),
        (
            "collection.configured",
            {"settings": {"index": "auto", "target_precision": 0.9}},
            "settings   of shop: target_precision=0.9",
        ),
        ("collection.configured", {"settings": {"index": "auto"}}, "settings   of shop: all as by default"),
        (
            "incident.opened",
            {"incident": "i7", "group": "g1", "explanation": "7 items like T-1 within 10 minutes"},
            "incident   i7 in shop is open: 7 items like T-1 within 10 minutes (g1)",
        ),
        (
            "incident.updated",
            {"incident": "i7", "group": "g1", "explanation": "14 items like T-1 within 10 minutes"},
            "incident   i7 in shop has doubled: 14 items like T-1 within 10 minutes (g1)",
        ),
        (
            "incident.closed",
            {"incident": "i7", "group": "g1", "explanation": "60 items in 70 minutes", "closed_ms": 1},
            "incident   i7 in shop is over: 60 items in 70 minutes (g1)",
        ),
        ("item.moved", {"item_id": "a"}, "item.moved           item_id=a collection=shop"),
    ],
)
def test_every_kind_of_event_is_described_in_words(kind: str, data: dict[str, Any], line: str) -> None:
    told = event_line({"type": f"recommender.{kind}.v1", "data": {**data, "collection": "shop"}}).plain
    assert told == line


def test_a_similar_item_is_named() -> None:
    data = {"item_id": "b", "band": "similar", "duplicate_of": None, "matched_id": "a", "explanation": "alike"}
    assert event_line({"type": "recommender.item.processed.v1", "data": data}).plain == "similar    b is like a: alike"


def test_a_revised_verdict_says_what_it_was_and_why_it_changed() -> None:
    data = {
        "item_id": "T-3",
        "cause": "item_deleted",
        "previous_band": "duplicate",
        "previous_duplicate_of": "T-1",
        "band": "duplicate",
        "duplicate_of": "T-2",
        "matched_id": "T-2",
        "reasons": [{"code": "x", "text": "not shown"}],
        "explanation": "same error code",
    }
    told = event_line({"type": "recommender.item.revised.v1", "data": data}).plain
    assert told == ("duplicate  T-3 is T-2 again (revised, was duplicate of T-1; an item was deleted): same error code")


def test_on_a_terminal_a_long_line_breaks_between_words_under_its_text() -> None:
    line = event_line(
        {
            "type": "recommender.item.processed.v1",
            "data": {
                "item_id": "T-3",
                "band": "review",
                "duplicate_of": None,
                "matched_id": "T-1",
                "explanation": "x " * 40,
            },
        }
    )
    terminal = Console(file=io.StringIO(), width=40, force_terminal=True)
    first, *others = laid_out(line, terminal).plain.split("\n")
    assert first.rstrip() == "review     T-3 may be T-1: x"
    assert all(other.startswith(" " * 11 + "x") and len(other) <= 40 for other in others)
    assert laid_out(line, Console(file=io.StringIO(), width=40)).plain == line.plain, "in one piece where programs read"
