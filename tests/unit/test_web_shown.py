"""What the web page shows: strings of every language, escaped values, marked texts, pictures, files of others."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from string import Formatter
from xml.etree import ElementTree

import pytest

from celery_recommender.web.shown import pictures
from celery_recommender.web.shown.event_rows import row_of
from celery_recommender.web.shown.highlights import mark_of, pieces
from celery_recommender.web.shown.rates import series
from celery_recommender.web.shown.rendering import NAVIGATION, ROOM, STATIC, Rendering, link, number, percent, when
from celery_recommender.web.shown.strings import LANGUAGES, preferred, table
from recommender_engine.items import Band
from tests.support.pages import Elements

TEMPLATES = sorted((ROOM / "templates").glob("*.html"))
SOURCES = [*TEMPLATES, *ROOM.rglob("*.py")]


def test_every_string_is_there_in_every_language() -> None:
    for key, strings in table().items():
        assert strings.keys() == set(LANGUAGES), key
        holes = {frozenset(name for _, name, _, _ in Formatter().parse(text) if name) for text in strings.values()}
        assert len(holes) == 1, key
        assert all(text.strip() == text and text for text in strings.values()), key


def test_every_string_that_a_template_names_is_there_and_no_other() -> None:
    text = "\n".join(path.read_text() for path in TEMPLATES)
    named = set(re.findall(r"""\bt\(["'](\w+)["'][,)]""", text))
    assert named - table().keys() == set()
    code = "\n".join(path.read_text() for path in SOURCES)
    built = (
        "band_",
        "state_",
        "told_",
        "nav_",
        "fact_",
        "said_",
        "order_",
        "held_",
        "api_",
        "job_",
        "step_",
        "failed_",
    )
    unused = {key for key in table().keys() - named if not key.startswith(built) and f'"{key}"' not in code}
    assert unused == set()


def test_what_is_built_from_a_code_has_its_strings() -> None:
    keys = table().keys()
    assert {f"band_{band}" for band in Band} <= keys
    assert {f"nav_{name}" for _, name, _ in NAVIGATION} <= keys
    assert {f"told_owner_{state}" for state in ("running", "starting", "silent", "away", "unreachable")} <= keys
    pages = (path for path in ROOM.rglob("*.py") if path.parent.name != "api")  # the API answers programs
    code = "\n".join(path.read_text() for path in pages)
    told = set(re.findall(r'(?:code=|Refused\(|_told\(request, )"(\w+)"', code))
    assert {f"told_{one}" for one in told} <= keys


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_has_what_the_policy_forbids(path: Path) -> None:
    """Inline scripts, styles and handlers would not run; values that are marked as safe would not be escaped."""
    text = path.read_text()
    assert not re.search(r"<style|\bstyle=|\son[a-z]{4,}=|javascript:|hx-on|\|\s*safe|autoescape", text)
    assert not re.search(r"<script(?! src=)", text)
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", text)


def test_values_are_escaped() -> None:
    evil = "<script>alert(1)</script>\"'&"
    event = {
        "type": "recommender.item.processed.v1",
        "data": {"collection": evil, "item_id": evil, "band": "review", "explanation": evil, "probability": 0.5},
    }
    shown = Rendering().text("feed_row.html", "en", row=row_of(event))
    assert "<script" not in shown
    assert Elements(shown).texts("a") == [evil]
    assert "&lt;script&gt;" in pictures.share([(evil, 1)], evil)
    assert "<script" not in pictures.share([(evil, 1)], evil) + pictures.stacked([[(evil, 1)]], evil)


def test_ids_go_into_the_query_whatever_they_are() -> None:
    assert link("/item", id="../a?b=c&d e/\u00fc", collection=None) == "/item?id=..%2Fa%3Fb%3Dc%26d+e%2F%C3%BC"


def test_pieces_join_to_the_text_and_a_difference_stands_out() -> None:
    text = "Error 4711 on pump A"
    reasons = [
        {"code": "words_shared", "detail": {"here_at": [[0, 10], [14, 18]], "there_at": [[2, 3]]}},
        {"code": "numbers_differ", "detail": {"here_at": [[6, 10]], "there_at": []}},
        {"code": "cosine_similarity", "detail": {"here_at": [[0, 20]]}},
    ]
    found = pieces(text, reasons, "here")
    assert "".join(piece.text for piece in found) == text
    assert [(piece.text, piece.mark) for piece in found if piece.mark] == [
        ("Error ", "shared"),
        ("4711", "differs"),
        ("pump", "shared"),
    ]
    assert pieces("ab", reasons, "there") == [("ab", "")], "a range beyond the text marks nothing"
    assert pieces("", reasons, "here") == []


def test_reasons_agree_or_differ() -> None:
    agree = ("identical_text", "same_number", "words_shared", "titles_alike", "people_say_same", "same_incident")
    differ = ("numbers_differ", "colours_differ", "negation_differs", "people_say_different", "group_disagrees")
    assert {mark_of({"code": code}) for code in agree} == {"shared"}
    assert {mark_of({"code": code}) for code in differ} == {"differs"}
    assert {mark_of({"code": code}) for code in ("cosine_similarity", "time_apart")} == {""}


@pytest.mark.parametrize(
    "picture",
    [
        pictures.stacked([[("review", 3), ("new", 1)], [("review", 0), ("new", 0)]], "T"),
        pictures.stacked([], "T"),
        pictures.share([("review", 3), ("new", 0)], "T"),
        pictures.share([], "T"),
    ],
)
def test_pictures_are_drawn_without_styles_and_have_a_text(picture: str) -> None:
    drawn = ElementTree.fromstring(picture)
    assert (drawn.get("role"), drawn.get("aria-label"), drawn.findtext("title")) == ("img", "T", "T")
    assert "style" not in picture


def test_arrivals_are_even_rows_also_where_nothing_arrived() -> None:
    bands = {"duplicate": 1, "review": 0, "similar": 2, "new": 0}
    rates = {"hours": [{"start": f"2026-03-01T{hour}:00:00.000Z", "bands": bands} for hour in ("05", "07")], "days": []}
    columns = series(rates, "hours", 4)
    assert [sum(count for _, count in parts) for parts in columns] == [0, 3, 0, 3]
    assert columns[-1] == [("duplicate", 1), ("review", 0), ("similar", 2), ("new", 0)]
    assert series(rates, "days", 4) == []


def test_numbers_and_times_as_people_write_them() -> None:
    assert [percent(share) for share in (0.0, 0.0001, 0.954, 0.9999, 1.0, None)] == [
        "0\u00a0%",
        "1\u00a0%",
        "95\u00a0%",
        "99\u00a0%",
        "100\u00a0%",
        "\u2013",
    ]
    assert [number(12345, language) for language in LANGUAGES] == ["12,345", "12.345"]
    assert [number(1.25, language) for language in LANGUAGES] == ["1.2", "1,2"]
    assert "2026-03-01 07:00:00 UTC" in when("2026-03-01T08:00:00+01:00")
    assert when(0) == '<time datetime="1970-01-01T00:00:00+00:00">1970-01-01 00:00:00 UTC</time>'
    assert when(None) == when("") == "\u2013"


@pytest.mark.parametrize(
    ("accept", "language"),
    [("", "en"), ("de", "de"), ("fr,de-AT;q=0.8,en;q=0.5", "de"), ("de;q=0.1,en", "en"), ("*", "en"), ("de;q=x", "en")],
)
def test_the_language_is_the_one_that_the_browser_prefers(accept: str, language: str) -> None:
    assert preferred(accept) == language


def test_htmx_is_the_file_that_was_published() -> None:
    licence = (STATIC / "htmx-LICENSE.txt").read_text()
    stated = re.search(r"SHA-256 ([0-9a-f]{64})", licence)
    assert stated is not None
    assert hashlib.sha256((STATIC / "htmx-2.0.11.min.js").read_bytes()).hexdigest() == stated[1]
    assert "Zero-Clause BSD" in licence


def test_static_files_fetch_nothing() -> None:
    for path in STATIC.glob("page.*"):
        assert not re.search(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}|@import|url\(", path.read_text()), path
