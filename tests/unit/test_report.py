"""The page of a report: counts, and texts of strangers that stay texts."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from celery_recommender.report.page import page
from celery_recommender.report.summary import MOST_MEMBERS, summarise

HOSTILE = (
    "<script>document.title='taken'</script>",
    "<img src=x onerror=document.title='taken'>",
    "</script></style></title><h1>taken</h1>",
    "{{ 7 * 7 }} {% raw %}",
    "\" onmouseover=document.title='taken' x=\"",
    "https://example.org/track.png <link rel=stylesheet href=https://example.org/x.css>",
)


def view(id_: str, text: str, group: str, band: str, matched: str | None = None, p: float = 0.0) -> dict[str, Any]:
    return {
        "item_id": id_,
        "text": text,
        "compared": None,
        "group": group,
        "canonical_id": group,
        "band": band,
        "matched_id": matched,
        "probability": p,
        "reasons": [{"code": "x", "text": text, "detail": {}}] if matched else [],
    }


def hostile_views() -> Iterator[dict[str, Any]]:
    for n, text in enumerate(HOSTILE):
        yield view(f"a{n}{text}", text, f"a{n}{text}", "new")
        yield view(f"b{n}{text}", text, f"a{n}{text}", "duplicate", f"a{n}{text}", 0.97)
        yield view(f"c{n}", text, f"c{n}", "review", f"a{n}{text}", 0.42)


class Reading(HTMLParser):
    """Elements with their attributes, and the text between them."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(" ".join(data.split()))


def test_every_text_stays_a_text() -> None:
    read = Reading(page(summarise(hostile_views(), HOSTILE[0])))
    tags = [tag for tag, _ in read.elements]
    assert tags.count("script") == 2
    assert (tags.count("h1"), tags.count("style"), tags.count("title")) == (1, 1, 1 + 100)
    assert not {"img", "link", "iframe", "object", "a", "form"} & set(tags)
    assert not [name for _, attributes in read.elements for name in attributes if name.startswith(("on", "style"))]
    assert not [name for _, attributes in read.elements for name in attributes if name in ("src", "href", "action")]
    for text in HOSTILE:
        assert read.texts.count(text) >= 3


def test_the_policy_allows_the_page_its_own_script_and_style_only() -> None:
    made = page(summarise(hostile_views(), "tickets"))
    policy = next(
        attributes["content"]
        for tag, attributes in Reading(made).elements
        if tag == "meta" and "http-equiv" in attributes
    )
    assert policy is not None
    for tag in ("style", "script"):
        content = re.findall(rf"<{tag}>(.*?)</{tag}>", made, re.DOTALL)
        assert len(content) == 1
        digest = base64.b64encode(hashlib.sha256(content[0].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_it_counts_what_it_was_given() -> None:
    views = [view("1", "a", "1", "new")]
    views += [view(str(n), "a", "1", "duplicate", "1", 0.9 + n / 1000) for n in range(2, 32)]
    views += [view(f"r{n}", "b", f"r{n}", "review", "1", 0.5 + n / 1000) for n in range(40)]
    views += [view("s", "c", "s", "similar", "1", 1.0), view("t", "d", "t2", "new"), view("t2", "d", "t2", "new")]
    found = summarise(views, "x", most_pairs=20)
    assert found.bands == {"duplicate": 30, "review": 40, "similar": 1, "new": 3}
    assert (found.items, found.pairs_in_all, sum(found.histogram)) == (74, 70, 71)
    assert (found.histogram[90], found.histogram[99]) == (8, 1)
    assert found.sizes == {2: 1, 31: 1}
    assert [(group.canonical.id, group.size, len(group.members)) for group in found.groups] == [
        ("1", 31, MOST_MEMBERS),
        ("t2", 2, 1),
    ]
    shown = [(pair.item.id, pair.band) for pair in found.pairs]
    assert shown == [
        *((str(n), "duplicate") for n in range(11, 1, -1)),
        *((f"r{n}", "review") for n in range(39, 29, -1)),
    ], "on both sides of the border"
    assert "20 of 70" in page(found)
    assert len(summarise(views, "x", most_pairs=1000).pairs) == 70


CHROMIUM = Path("/usr/bin/chromium")


@pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium: apt-get install chromium")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_it_without_a_request_and_moves_the_threshold(tmp_path: Path, scheme: str) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    file = tmp_path / "report.html"
    file.write_text(page(summarise(hostile_views(), HOSTILE[0])), encoding="utf-8")
    requests: list[str] = []
    said: list[str] = []

    def look() -> tuple[list[tuple[int, str]], str, int]:
        with playwright.sync_playwright() as running:
            browser = running.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
            shown = browser.new_context(color_scheme=scheme, viewport={"width": 360, "height": 800}).new_page()
            shown.on("request", lambda request: requests.append(request.url))
            shown.on("console", lambda message: said.append(message.text))
            shown.on("pageerror", lambda error: said.append(str(error)))
            shown.goto(file.as_uri())
            assert shown.title() == f"Duplicates: {HOSTILE[0]}"
            counts = []
            for threshold in ("0", "43", "98"):
                shown.fill("#threshold", threshold)
                visible = shown.locator("tr[data-probability]:visible").count()
                counts.append((visible, shown.inner_text("#said").split(" items")[0]))
            ground = shown.evaluate("getComputedStyle(document.documentElement).colorScheme")
            wide = shown.evaluate("document.documentElement.scrollWidth")
            browser.close()
        return counts, ground, wide

    with ThreadPoolExecutor(1) as apart:  # a browser of other tests may be open in this thread
        counts, ground, wide = apart.submit(look).result()
    assert counts == [(12, "12"), (6, "6"), (0, "0")]
    assert requests == [file.as_uri()]
    assert said == []
    assert ground == "light dark"
    assert wide <= 360
