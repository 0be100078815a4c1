"""Events as people read them: one line each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rich.text import Text

from recommender.items import FeedbackAccepted, GroupChanged, ItemProcessed, ItemRevised
from workers.cli.common import BAND_STYLES, printable

Data = Mapping[str, Any]

_CAUSES = {
    "item_deleted": "an item was deleted",
    "item_expired": "an item's time was up",
    "item_changed": "an item changed its text",
    "feedback": "somebody said so",
    "groups_merged": "two groups became one",
}
_ANSWERS = {"same": "are the same", "different": "are different", "unsure": "may be either: the answer is taken back"}
_IDS_SHOWN = 5
_UNSAID = {"command", "payload", "settings", "attributes"}


def event_line(event: Mapping[str, Any]) -> Text:
    """One event in one line."""
    data = event["data"]
    write = None if data.get("erased") else _WRITERS.get(event["type"])
    if write is not None:
        return write(data)
    kind = event["type"].removeprefix("recommender.").removesuffix(".v1")
    said = {name: value for name, value in data.items() if name not in _UNSAID}
    return _line(f"{kind:20} ", "magenta", " ".join(f"{name}={value}" for name, value in said.items()))


def why(verdict: Data) -> str:
    """The reasons of a verdict in one sentence; empty if there are none."""
    return verdict.get("explanation") or "; ".join(reason["text"] for reason in verdict["reasons"])


def _processed(data: Data) -> Text:
    line = _verdict(data, "")
    if not why(data) and data["recommendations"]:
        similar = ", ".join(one["id"] for one in data["recommendations"][:3])
        line.append_text(_said(f" similar to {similar}"))
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
        line.append_text(_said(f" is {data['duplicate_of']} again"))
    elif data["band"] == "review":
        line.append_text(_said(f" may be {data['matched_id']}"))
    line.append_text(_said(remark))
    if reasons := why(data):
        line.append_text(_said(f": {reasons}"))
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
    now = "nobody is left" if not size else f"{size} item{'s' if size > 1 else ''}, {data['canonical_id']} first"
    return _line(f"{'group':10} ", "blue", f"{what} ({now})")


def _feedback(data: Data) -> Text:
    by = "" if data["by"] is None else f", says {data['by']}"
    learned = f"{data['answers']} answer{'' if data['answers'] == 1 else 's'}"
    said = (
        f"{data['item_id']} and {data['other_id']} {_ANSWERS[data['answer']]}{by}"
        f" (probability until now {data['probability']:.2f}; learned from {learned})"
    )
    return _line(f"{'feedback':10} ", "green", said)


_WRITERS: dict[str, Callable[[Data], Text]] = {
    ItemProcessed.type: _processed,
    ItemRevised.type: _revised,
    GroupChanged.type: _group,
    FeedbackAccepted.type: _feedback,
}


def _line(kind: str, style: str, said: str) -> Text:
    return Text(kind, style=style).append_text(_said(said))


def _said(text: str) -> Text:
    shown = printable(text)
    shown.stylize("default")
    return shown
