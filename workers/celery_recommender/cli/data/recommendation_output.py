"""Output of ``recommender evaluate recommendations``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table

from celery_recommender.cli.common import out

_ITEMS = (
    ("recall@10", "recall_at_10", "recall_at_10_se"),
    ("nDCG@10", "ndcg_at_10", "ndcg_at_10_se"),
)
_LISTS = (("coverage", "coverage"), ("cosine inside", "intra_list_similarity"), ("novelty", "novelty"))


def show_recommendations(result: Mapping[str, Any]) -> None:
    """Two tables: lists for items, and lists for users."""
    known, truth = result["interactions"]["known"], result["interactions"]["truth"]
    out.print(
        f"known before {result['split'][:10]}: {known:,} interactions; predicted until {result['until'][:10]}:"
        f" {truth:,}; {result['candidates']:,} items may be recommended"
    )
    methods = dict(_methods(result))
    out.print("\nFor an item: what is used together with it")
    out.print(_items({name: parts["items"] for name, parts in methods.items() if parts.get("items")}))
    out.print("\nFor a user, before each basket: all of it, and what is new to the user")
    out.print(_users({name: parts["users"] for name, parts in methods.items() if parts.get("users")}))


def _methods(result: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield "recommender", {part: result.get(part) for part in ("items", "users")}
    defaults = {part: (result.get(part) or {}).get("defaults") for part in ("items", "users")}
    yield "… by default", defaults
    for name, parts in result["baselines"].items():
        yield name.replace("_", " "), parts


def _items(rows: Mapping[str, Mapping[str, Any]]) -> Table:
    table = _table(*(heading for heading, *_ in (*_ITEMS, *_LISTS)), "warm", "cold")
    for name, figures in rows.items():
        table.add_row(
            name,
            *(_with_error(figures[key], figures[error]) for _, key, error in _ITEMS),
            *(_cell(figures[key]) for _, key in _LISTS),
            *(_cell(figures[part]["recall_at_10"]) if figures.get(part) else "-" for part in ("warm", "cold")),
        )
    return _counted(table, [f"{_queries(one)} items, {_queries(one['cold'])} cold" for one in rows.values()])


def _users(rows: Mapping[str, Mapping[str, Any]]) -> Table:
    table = _table(
        *(f"{which}: {heading}" for which in ("all", "new") for heading, *_ in _ITEMS),
        *(f"new: {heading}" for heading, _ in _LISTS),
    )
    for name, figures in rows.items():
        table.add_row(
            name,
            *(
                _with_error(figures[which][key], figures[which][error])
                for which in ("all", "new")
                for _, key, error in _ITEMS
            ),
            *(_cell(figures["new"][key]) for _, key in _LISTS),
        )
    return _counted(
        table, [f"{_queries(one['all'])} baskets, {_queries(one['new'])} with something new" for one in rows.values()]
    )


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for heading in headings:
        table.add_column(heading, justify="right")
    return table


def _counted(table: Table, told: list[str]) -> Table:
    table.caption = told[0] if told else None
    table.caption_justify = "left"
    return table


def _queries(figures: Mapping[str, Any]) -> str:
    return f"{figures['queries']:,}"


def _with_error(value: float | None, error: float | None) -> str:
    return _cell(value) if error is None else f"{_cell(value)} ±{error:.3f}"


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
