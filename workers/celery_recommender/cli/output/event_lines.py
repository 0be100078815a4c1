"""Events as people read them: one line each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from rich.console import Console
from rich.text import Text

from celery_recommender.cli.common import BAND_STYLES, counted, printable
from celery_recommender.frames.columns import why
from recommender_engine.items import (
    CollectionConfigured,
    CollectionDeleted,
    CollectionSettings,
    CommandIgnored,
    CommandRejected,
    FeedbackAccepted,
    GroupChanged,
    IncidentClosed,
    IncidentOpened,
    IncidentUpdated,
    ItemDeleted,
    ItemPatched,
    ItemProcessed,
    ItemRevised,
    ItemsBackfilled,
    ModelDropped,
    ModelPromoted,
    ModelProposed,
    RecommendationsJudged,
    RecommendationsSubscribed,
    RecommendationsUpdated,
)

Data = Mapping[str, Any]

_CAUSES = {
    "item_deleted": "an item was deleted",
    "item_expired": "an item's time was up",
    "item_changed": "an item changed its text",
    "feedback": "an answer was given",
    "groups_merged": "two groups became one",
}
_ANSWERS = {"same": "are the same", "different": "are different", "unsure": "may be either: the answer is taken back"}
_IDS_SHOWN = 5
_INDENT = 11
_HIDDEN = {"command", "payload", "settings", "attributes"}
_DEFAULTS = CollectionSettings().model_dump(mode="json")


def event_line(event: Mapping[str, Any]) -> Text:
    """One event in one line."""
    data = event["data"]
    emptied = data.get("erased") and "item_id" not in data
    write = None if emptied else _WRITERS.get(event["type"])
    if write is not None:
        return write(data)
    kind = event["type"].removeprefix("recommender.").removesuffix(".v1")
    shown = {name: value for name, value in data.items() if name not in _HIDDEN}
    return _line(f"{kind:20} ", "magenta", " ".join(f"{name}={value}" for name, value in shown.items()))


def laid_out(line: Text, console: Console) -> Text:
    """A line for a terminal, broken between words, with the band standing out; anything else gets it in one piece."""
    if not console.is_terminal or len(line) <= console.width:
        return line
    return Text("\n" + " " * _INDENT).join(line.wrap(console, max(console.width - _INDENT, _INDENT)))


def _processed(data: Data) -> Text:
    line = _verdict(data, "")
    if not why(data) and data["recommendations"]:
        similar = ", ".join(one["id"] for one in data["recommendations"][:3])
        line.append_text(_styled(f" similar to {similar}"))
    return line


def _revised(data: Data) -> Text:
    was = data["previous_band"]
    if data["previous_duplicate_of"] is not None:
        was += f" of {data['previous_duplicate_of']}"
    cause = _CAUSES.get(data["cause"], data["cause"])
    return _verdict(data, f" (revised, was {was}; {cause})")


def _verdict(data: Data, remark: str) -> Text:
    line = Text(f"{data['band']:10} ", style=BAND_STYLES[data["band"]])
    line.append(printable(data["item_id"]).plain, style="bold")
    if data["duplicate_of"]:
        line.append_text(_styled(f" is {data['duplicate_of']} again"))
    elif data["band"] == "review":
        line.append_text(_styled(f" may be {data['matched_id']}"))
    elif data["band"] == "similar" and data.get("matched_id"):
        line.append_text(_styled(f" is like {data['matched_id']}"))
    line.append_text(_styled(remark))
    if reasons := why(data):
        line.append_text(_styled(f": {reasons}"))
    return line


def _group(data: Data) -> Text:
    items = ", ".join(data["items"][:_IDS_SHOWN]) + (" …" if len(data["items"]) > _IDS_SHOWN else "")
    group, other = data["group"], data["other_group"]
    what = {
        "joined": f"{items} joined {group}",
        "left": f"{items} left {group}",
        "merged": f"{other} ({items}) became part of {group}",
        "split": f"{items} split off {group} as {other}",
        "canonical_changed": f"{items} stands for {group} now",
    }[data["change"]]
    size = data["size"]
    now = "empty" if not size else f"{size} item{'s' if size > 1 else ''}, {data['canonical_id']} first"
    return _line(f"{'group':10} ", "blue", f"{what} ({now})")


def _feedback(data: Data) -> Text:
    by = "" if data["by"] is None else f", says {data['by']}"
    learned = counted(data["answers"], "answer")
    sentence = (
        f"{data['item_id']} and {data['other_id']} {_ANSWERS[data['answer']]}{by}"
        f" (probability until now {data['probability']:.2f}; learned from {learned})"
    )
    return _line(f"{'feedback':10} ", "green", sentence)


def _item(data: Data) -> str:
    return f"{data['item_id']} in {data['collection']}"


def _rejected(data: Data) -> Text:
    item = "" if data["item_id"] is None else f"{data['item_id']}: "
    return _line(f"{'rejected':10} ", "bold red", f"{item}{data['code']}: {data['message']}")


def _deleted(data: Data) -> Text:
    why = " with every trace of its text" if data["erased"] else ": its time was up" if data.get("expired") else ""
    return _line(f"{'deleted':10} ", "magenta", f"{_item(data)}{why}")


def _patched(data: Data) -> Text:
    return _line(f"{'patched':10} ", "magenta", f"{_item(data)}: its attributes have changed")


def _ignored(data: Data) -> Text:
    why = {"older_version": "an older version", "unknown_item": "there is no such item"}
    return _line(f"{'ignored':10} ", "dim", f"{_item(data)}: {why.get(data['reason'], data['reason'])}")


def _configured(data: Data) -> Text:
    settings = ", ".join(
        f"{name}={json.dumps(value, ensure_ascii=False)}"
        for name, value in data["settings"].items()
        if value != _DEFAULTS.get(name)
    )
    return _line(f"{'settings':10} ", "green", f"of {data['collection']}: {settings or 'all as by default'}")


def _collection_deleted(data: Data) -> Text:
    items = counted(data["items"], "item")
    return _line(f"{'deleted':10} ", "bold magenta", f"the collection {data['collection']} with {items}")


def _model(what: str, data: Data) -> Text:
    return _line(f"{'model':10} ", "bold magenta", f"{data['model']} {what} of {data['collection']}")


def _backfilled(data: Data) -> Text:
    bands = ", ".join(f"{count:,} {band}" for band, count in data["bands"].items() if count)
    sentence = f"{data['commands']:,} silent commands in {data['collection']}"
    return _line(f"{'backfill':10} ", "magenta", sentence + (f": {bands}" if bands else ""))


def _incident(state: str, data: Data) -> Text:
    sentence = f"{data['incident']} in {data['collection']} {state}: {data['explanation']} ({data['group']})"
    return _line(f"{'incident':10} ", "green" if "closed_ms" in data else "bold red", sentence)


def _judged(data: Data) -> Text:
    names = [data["collection"], *(name for name in (data["scenario"], data["arm"]) if name is not None)]
    sentence = f"{data['hits']:,} of {counted(data['lists'], 'list')} of {' / '.join(names)} led to an interaction"
    return _line(f"{'lists':10} ", "green", f"{sentence} ({data['hit_rate']:.1%})")


def _whose(data: Data) -> str:
    whose = f"user {data['user']}" if data.get("user") else data["item_id"] or "a user"
    return f"the list of {whose} in {data['collection']}" + (f" ({data['scenario']})" if data["scenario"] else "")


def _subscribed(data: Data) -> Text:
    return _line(
        f"{'list':10} ", "green", f"{_whose(data)} is told {'from now on' if data['subscribed'] else 'no longer'}"
    )


def _updated(data: Data) -> Text:
    ids = [one["id"] for one in data["recommendations"]]
    shown = ", ".join(ids[:_IDS_SHOWN]) + (" …" if len(ids) > _IDS_SHOWN else "")
    changes = [f"{verb} {', '.join(data[verb][:_IDS_SHOWN])}" for verb in ("came", "went") if data[verb]]
    return _line(
        f"{'list':10} ",
        "green",
        f"{_whose(data)}: {shown or 'empty'}" + (f" ({'; '.join(changes)})" if changes else ""),
    )


_WRITERS: dict[str, Callable[[Data], Text]] = {
    ItemProcessed.type: _processed,
    ItemRevised.type: _revised,
    GroupChanged.type: _group,
    FeedbackAccepted.type: _feedback,
    CommandRejected.type: _rejected,
    CommandIgnored.type: _ignored,
    ItemDeleted.type: _deleted,
    ItemPatched.type: _patched,
    ItemsBackfilled.type: _backfilled,
    CollectionConfigured.type: _configured,
    CollectionDeleted.type: _collection_deleted,
    ModelProposed.type: partial(_model, "is the second model"),
    ModelPromoted.type: partial(_model, "is the model from now on"),
    ModelDropped.type: partial(_model, "is no longer the second model"),
    IncidentOpened.type: partial(_incident, "is open"),
    IncidentUpdated.type: partial(_incident, "has doubled"),
    IncidentClosed.type: partial(_incident, "is over"),
    RecommendationsJudged.type: _judged,
    RecommendationsSubscribed.type: _subscribed,
    RecommendationsUpdated.type: _updated,
}


def _line(kind: str, style: str, sentence: str) -> Text:
    return Text(kind, style=style).append_text(_styled(sentence))


def _styled(text: str) -> Text:
    shown = printable(text)
    shown.stylize("default")
    return shown
