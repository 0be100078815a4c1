"""Which files become pages, and where their links lead on the site."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = "https://github.com/celery-recommender/celery-recommender"

_ROOT_PAGES = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "deploy/runbook.md")
_FIRST = {"README.md": "index.md", "docs/index.md": "all.md"}
_PATTERNS = ("docs/**/*.md", "benchmarks/README.md", "examples/*/README.md", "tests/quality/README.md")
_FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_MARKED = re.compile(r"\A(```\w+) .*")  # a mark for our tests, behind the language
_LINK = re.compile(r"(?P<text>\]\()(?P<place>[^)\s#]*)(?P<anchor>#[^)\s]*)?(?=[)\s])")


def sources(root: Path) -> dict[str, str]:
    """Files by their place below the root, and their place on the site."""
    found = [*(root / name for name in _ROOT_PAGES), *(path for one in _PATTERNS for path in sorted(root.glob(one)))]
    names = [path.relative_to(root).as_posix() for path in found]
    return {name: _FIRST.get(name, name.removeprefix("docs/")) for name in names}


def staged(text: str, name: str, places: dict[str, str], root: Path) -> str:
    """A page with its links as they lead from its place on the site.

    Args:
        text: of the page, in Markdown.
        name: its place below the root.
        places: of all pages.
        root: of the repository.
    """
    parts = _FENCED.split(text)
    fences = [_MARKED.sub(r"\1", fence) for fence in _FENCED.findall(text)]
    moved = [_LINK.sub(lambda link: _moved(link, name, places, root), part) for part in parts]
    return "".join(part + fence for part, fence in zip(moved, [*fences, ""], strict=True))


def _moved(link: re.Match[str], name: str, places: dict[str, str], root: Path) -> str:
    place, anchor = link["place"], link["anchor"] or ""
    if not place or "://" in place or place.startswith("mailto:"):
        return link[0]
    target = posixpath.normpath(posixpath.join(posixpath.dirname(name), place))
    if target in places:
        return link["text"] + _relative(places[target], places[name]) + anchor
    if target.startswith("docs/images/"):
        return link["text"] + _relative(target.removeprefix("docs/"), places[name])
    kind = "tree" if (root / target).is_dir() else "blob"
    return f"{link['text']}{REPOSITORY}/{kind}/main/{target}{anchor}"


def _relative(target: str, page: str) -> str:
    return posixpath.relpath(target, posixpath.dirname(page) or ".")


def title(path: Path) -> str:
    """The first heading of a page."""
    found = re.search(r"^# (.+)$", path.read_text(), re.MULTILINE)
    return re.sub(r"[`*]", "", found[1]) if found else path.stem


def navigation(site: Path) -> list[dict[str, object]]:
    """The sections of the site, from the pages that there are; the order within one is that of the titles."""
    listed = {path.relative_to(site).as_posix() for path in site.rglob("*.md")}
    sections = (
        ("Start", ["index.md", "guide/first-file.md", "all.md"]),
        ("Uses", ["guide/tickets.md", "guide/products.md", *_below(listed, "guide/uses/")]),
        ("Guides", _below(listed, "guide/")),
        ("Examples", _below(listed, "examples/")),
        ("Interfaces", ["openapi.md", "asyncapi.md", "reference/commands.md", "reference/events.md"]),
        ("Reference", _below(listed, "reference/")),
        ("Operate", ["deploy.md", "deploy/runbook.md", "capacity.md", "reliability.md", "security.md", "SECURITY.md"]),
        ("Measured", ["measurements.md", "profile.md", *_below(listed, "benchmarks/"), *_below(listed, "tests/")]),
        ("How it is built", ["ARCHITECTURE.md", *_below(listed, "internals/"), "CONTRIBUTING.md", "CHANGELOG.md"]),
        ("Decisions", ["adr/README.md", *_below(listed, "adr/")]),
    )
    seen: set[str] = set()
    found: list[dict[str, object]] = []
    for name, pages in sections:
        fresh = [page for page in dict.fromkeys(pages) if page not in seen]
        seen.update(fresh)
        found.append({name: [{title(site / page): page} for page in fresh]})
    if left := sorted(listed - seen):
        raise SystemExit(f"no section of tools/site/pages.py takes {', '.join(left)}")
    return found


def _below(listed: set[str], folder: str) -> list[str]:
    return sorted(page for page in listed if page.startswith(folder))


def dead_links(site: Path) -> Iterator[str]:
    """Links and files of built pages that lead nowhere, and what a page would fetch from elsewhere."""
    pages = {path: path.read_text() for path in site.rglob("*.html")}
    ids = {path: set(re.findall(r'\bid="?([^"\s>]+)', text)) for path, text in pages.items()}
    for path, text in pages.items():
        for tag, name, address in re.findall(r"<(\w+)[^>]*?\s(href|src)=\"?([^\"\s>]*)", text):
            if "://" in address or address.startswith(("mailto:", "data:", "//")):
                if tag != "a" and not re.search(r'rel="?(canonical|edit|alternate)', _tag_around(text, address)):
                    yield f"{path.relative_to(site)}: <{tag}> would fetch {address}"
                continue
            place, _, anchor = address.partition("#")
            target = Path(os.path.normpath(path.parent / place.partition("?")[0])) if place else path
            if place.startswith("/"):
                continue
            target = target / "index.html" if target.is_dir() else target
            if not target.exists() or (anchor and target in ids and anchor not in ids[target]):
                yield f"{path.relative_to(site)}: {name} {address}"


def _tag_around(text: str, address: str) -> str:
    place = text.find(address)
    return text[text.rfind("<", 0, place) : text.find(">", place)]
