"""Builds the site of the documentation: python -m tools.site [FOLDER].

The site is in FOLDER/site; FOLDER is build/docs by default.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from tools.site.interfaces import asyncapi_page, openapi_page
from tools.site.pages import dead_links, navigation, sources, staged

ROOT = Path(__file__).parents[2]
COPIED = ("images", "schemas", "asyncapi.json", "openapi.json")


def main(folder: Path) -> None:
    """Build, strictly, and look at every link.

    Args:
        folder: for the sources, and the site in ``site``; what is in it goes.
    """
    shutil.rmtree(folder, ignore_errors=True)
    pages, site = folder / "pages", folder / "site"
    write_pages(pages)
    settings = folder / "zensical.toml"
    settings.write_text(configuration(pages))
    zensical = Path(sysconfig.get_path("scripts")) / "zensical"
    subprocess.run([zensical, "build", "--strict", "--config-file", settings], cwd=folder, check=True)
    if dead := list(dead_links(site)):
        raise SystemExit(
            "\n".join((f"{len(dead)} links lead nowhere, or would be fetched from elsewhere:", *dead[:50]))
        )
    print(f"{sum(1 for _ in site.rglob('*.html'))} pages in {site}")


def write_pages(pages: Path) -> None:
    """The pages of the repository with their links as they lead on the site, and those of the interfaces."""
    places = sources(ROOT)
    for name, place in places.items():
        path = pages / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(staged((ROOT / name).read_text(), name, places, ROOT))
    docs = ROOT / "docs"
    for name in COPIED:
        copy = shutil.copytree if (docs / name).is_dir() else shutil.copy
        copy(docs / name, pages / name)
    documents = {name: json.loads((docs / f"{name}.json").read_text()) for name in ("openapi", "asyncapi")}
    (pages / "openapi.md").write_text("\n".join(openapi_page(documents["openapi"])))
    (pages / "asyncapi.md").write_text("\n".join(asyncapi_page(documents["asyncapi"], docs)))


def configuration(pages: Path) -> str:
    """Of Zensical. Nothing is fetched: no font, and no count of stars, which the address of a repository would add."""
    settings = {
        "site_name": "celery-recommender",
        "site_description": "Similar items and duplicate verdicts for what passes through your queue",
        "docs_dir": "pages",
        "site_dir": "site",
        "use_directory_urls": False,
        "nav": navigation(pages),
    }
    lines = ["[project]", *(f"{name} = {_toml(value)}" for name, value in settings.items())]
    palettes = (("default", "slate"), ("slate", "default"))
    lines += [
        "[project.theme]",
        "font = false",
        'features = ["navigation.sections", "content.code.copy", "search.highlight"]',
    ]
    for scheme, other in palettes:
        icon = "lucide/moon" if scheme == "default" else "lucide/sun"
        media = "light" if scheme == "default" else "dark"
        lines += [
            "[[project.theme.palette]]",
            f'media = "(prefers-color-scheme: {media})"',
            f'scheme = "{scheme}"',
            f'toggle.icon = "{icon}"',
            f'toggle.name = "Switch to {other}"',
        ]
    return "\n".join((*lines, ""))


def _toml(value: object) -> str:
    """A value on one line of TOML: texts are as in JSON, tables are inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else ROOT / "build/docs")
