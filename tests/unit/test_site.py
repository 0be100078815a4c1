"""What the site of the documentation is made of; `make check` builds it strictly."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tools.site.__main__ import configuration, write_pages
from tools.site.interfaces import asyncapi_page, openapi_page
from tools.site.pages import dead_links, navigation, sources, staged

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "pages"
    write_pages(folder)
    return folder


def test_every_page_has_one_place_in_the_navigation(pages: Path) -> None:
    listed = [page for section in navigation(pages) for named in _values(section) for page in named.values()]
    assert sorted(listed) == sorted(path.relative_to(pages).as_posix() for path in pages.rglob("*.md"))
    assert len(listed) > 100
    assert listed[:2] == ["index.md", "guide/first-file.md"]
    assert json.dumps(listed[-1]) in configuration(pages)
    (pages / "stray").mkdir()
    stray = pages / "stray" / "page.md"
    stray.write_text("# Stray\n")
    with pytest.raises(SystemExit, match=r"no section .* takes stray/page.md"):
        navigation(pages)
    stray.unlink()


def test_every_image_is_on_a_page() -> None:
    text = "\n".join((ROOT / name).read_text() for name in sources(ROOT))
    images = sorted((ROOT / "docs/images").iterdir())
    assert images
    assert [path.name for path in images if f"images/{path.name})" not in text] == []


def _values(section: dict[str, object]) -> list[dict[str, str]]:
    (named,) = section.values()
    assert isinstance(named, list)
    return named


def test_links_lead_from_the_place_of_a_page() -> None:
    places = sources(ROOT)
    text = (
        "[a](../reference/commands.md#item-upsert) [b](../../README.md) [c](../../deploy/redis/users.acl)"
        " [d](https://example.com/x) [e](#here) ![f](../images/review.png) [g](../../deploy/kubernetes)\n"
        "```toml policy\n[x](../y.md)\n```\n"
    )
    moved = staged(text, "docs/guide/web.md", places, ROOT)
    assert moved == (
        "[a](../reference/commands.md#item-upsert) [b](../index.md)"
        " [c](https://github.com/celery-recommender/celery-recommender/blob/main/deploy/redis/users.acl)"
        " [d](https://example.com/x) [e](#here) ![f](../images/review.png)"
        " [g](https://github.com/celery-recommender/celery-recommender/tree/main/deploy/kubernetes)\n"
        "```toml\n[x](../y.md)\n```\n"
    )
    assert staged("[a](docs/guide/web.md)", "README.md", places, ROOT) == "[a](guide/web.md)"


def test_the_interfaces_are_drawn_whole() -> None:
    openapi = json.loads((ROOT / "docs/openapi.json").read_text())
    routes = [f"`{method.upper()} {path}`" for path, methods in openapi["paths"].items() for method in methods]
    drawn = re.findall(r"^### `(\w+) \S*?(/\S+)`$", "\n".join(openapi_page(openapi)), re.MULTILINE)
    assert len(drawn) == len(routes)
    asyncapi = json.loads((ROOT / "docs/asyncapi.json").read_text())
    page = "\n".join(asyncapi_page(asyncapi, ROOT / "docs"))
    assert re.findall(r"^### `(.+)`$", page, re.MULTILINE) == list(asyncapi["components"]["messages"])
    event = page.partition("### `recommender.item.processed.v1`")[2].partition("### ")[0]
    assert "| `duplicate_of` |" in event
    assert '"specversion": "1.0"' in event


@pytest.mark.parametrize(
    ("body", "dead"),
    [
        ('<a href="b.html#there">', []),
        ('<a href="b.html#gone">', ["a.html: href b.html#gone"]),
        ('<a href="c.html">', ["a.html: href c.html"]),
        ('<a href="https://example.com/">', []),
        ('<img src="gone.png">', ["a.html: src gone.png"]),
        ('<script src="https://cdn.example.com/x.js">', ["a.html: <script> would fetch https://cdn.example.com/x.js"]),
        ('<link rel="stylesheet" href="//x.com/y">', ["a.html: <link> would fetch //x.com/y"]),
        ('<link rel="canonical" href="https://x.com/">', []),
    ],
)
def test_dead_links_and_fetches_from_elsewhere_are_found(tmp_path: Path, body: str, dead: list[str]) -> None:
    (tmp_path / "a.html").write_text(body)
    (tmp_path / "b.html").write_text('<h2 id="there">')
    assert list(dead_links(tmp_path)) == dead
