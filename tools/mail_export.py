"""An export of a ticket system: three hundred mails as programs write them, and forty of them repeat an earlier one.

The matters are those of `tests/quality/mails.jsonl`, each written by hand. Around them stand what mail programs and
companies add: mark-up of five programs, greetings, signatures, small print, quotations of answers and of the mail
itself. Who writes which mail in which program is drawn with a seed; a repeat is never sent by who sent the first one.
"""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from recommender_engine.items import Item
from tools.arrivals import Arrivals
from tools.trial_texts import CLOSINGS, GREETINGS, OFFICE

MATTERS = Path(__file__).parents[1] / "tests" / "quality" / "mails.jsonl"
MAILS = 300
SEED = 42


class Sender(NamedTuple):
    """Who writes a mail, and what stands below it."""

    name: str
    role: str
    company: str
    phone: str
    small_print: str


_CONFIDENTIAL = (
    "This message and its attachments may contain confidential information and are intended only for the addressee. If"
    " you have received it in error, please inform the sender and delete it; any disclosure or copying is forbidden."
)
_EARTH = "Please consider the environment before printing this e-mail."
_VERTRAULICH = (
    "Diese E-Mail enthält vertrauliche Informationen. Wenn Sie nicht der richtige Adressat sind oder diese E-Mail"
    " irrtümlich erhalten haben, informieren Sie bitte den Absender und löschen Sie diese Mail."
)
SENDERS = (
    Sender("Hanna Vogt", "Teamleitung Einkauf", "Vogt Gartenbau GmbH", "+49 511 5550 164", _VERTRAULICH),
    Sender("Callum Reid", "Operations", "Northquay Stores Ltd", "+44 131 555 0117", f"{_CONFIDENTIAL} {_EARTH}"),
    Sender("Mireille Laurent", "Secretary", "Mairie de Brélan", "+33 2 55 50 18 44", _EARTH),
    Sender("Ivo Dekker", "Site Manager", "Dekker Wonen B.V.", "+31 10 555 0128", _CONFIDENTIAL),
    Sender("Ada Nwosu", "Head of Office", "Lakeview Housing Trust", "+44 121 555 0155", ""),
    Sender(
        "Piotr Lis", "Logistics", "Lis i Synowie Sp. z o.o.", "+48 12 555 01 77", f"{_CONFIDENTIAL} {_CONFIDENTIAL}"
    ),
    Sender("Carla Bruno", "Front Desk", "Hotel Bruno S.r.l.", "+39 045 555 0139", _CONFIDENTIAL),
    Sender("Jonas Lindqvist", "", "", "+46 8 555 01 12", ""),
    Sender("Marta Rey", "", "", "", ""),
    Sender("Theo Kranz", "Facility Services", "Kranz & Partner GmbH", "+49 30 5550 193", f"{_VERTRAULICH} {_EARTH}"),
)

GMAIL = """<div dir="ltr">{greeting}<div><br></div><div>{body}</div><div><br></div><div>{closing}</div><br>
<div class="gmail_signature" data-smartmail="gmail_signature"><div dir="ltr">{below}</div></div></div>{quoted}"""
WEBMAIL = """<div style="font-family:Aptos,sans-serif;font-size:12pt">{greeting}</div><div><br></div><div>{body}</div>
<div><br></div><div>{closing}</div><div>{below}</div><div><br></div><div>{small_print}</div>{quoted}"""
APPLE = """<html><body style="overflow-wrap: break-word;"><div>{greeting}</div><div><br></div><div>{body}</div>
<div><br></div><div>{closing}</div><div><br></div><div>{below}</div><div>{small_print}</div>{quoted}</body></html>"""
PLAIN = "{greeting}\n\n{body}\n\n{closing}\n\n-- \n{below}\n\n{small_print}\n{quoted}"

_AUTOMATIC = (
    "Thank you for your message. This is an automatic answer: your request has been received and will be dealt with in"
    " the order of arrival. Please do not change the subject."
)


class Matter(NamedTuple):
    """A matter that somebody writes about, and how it is told once more."""

    kind: str
    half: str
    first: str
    again: str


@dataclass(frozen=True)
class Export:
    """The mails, as a stream.

    Attributes:
        stream: in order of arrival.
        halves: of each mail that repeats an earlier one, by its id, ``tuned`` or ``kept``.
        kinds: of each of them, how it tells the matter once more.
    """

    stream: Arrivals
    halves: dict[str, str]
    kinds: dict[str, str]


def matters(path: Path = MATTERS) -> tuple[list[Matter], list[str]]:
    """The matters that are told twice, and those that are told once."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    twice = [Matter(row["kind"], row["half"], row["a"], row["b"]) for row in rows if "b" in row]
    return twice, [row["a"] for row in rows if "b" not in row]


def mail_export(seed: int = SEED) -> Export:
    """The export; another seed draws other senders, programs and another order."""
    draw = np.random.default_rng(seed)
    twice, once = matters()
    texts = [(one.first, number) for number, one in enumerate(twice)]
    texts += [(one.again, number) for number, one in enumerate(twice)]
    texts += [(text, len(twice) + number) for number, text in enumerate(once[: MAILS - len(texts)])]
    order = draw.permutation(len(texts)).tolist()
    for number in range(len(twice)):  # the first one first
        places = sorted((order.index(number), order.index(len(twice) + number)))
        order[places[0]], order[places[1]] = number, len(twice) + number
    items, halves, kinds = [], {}, {}
    sent_by: dict[int, int] = {}
    for place, text in enumerate(order):
        body, group = texts[text]
        others = [one for one in range(len(SENDERS)) if one != sent_by.get(group)]
        sent_by[group] = others[int(draw.integers(len(others)))]
        again = len(twice) <= text < 2 * len(twice)
        kind = twice[group].kind if again else ""
        key = f"mail-{place}"
        if again:
            halves[key], kinds[key] = twice[group].half, kind
        quoted = twice[group].first if kind == "follow_up" else _AUTOMATIC if draw.random() < 0.2 else ""
        items.append(Item(id=key, text=_written(body, SENDERS[sent_by[group]], quoted, draw)))
    return Export(Arrivals(items, np.array([texts[text][1] for text in order])), halves, kinds)


def _written(body: str, sender: Sender, quoted: str, draw: np.random.Generator) -> str:
    """A mail as one of five programs writes it."""
    said = {
        "greeting": GREETINGS[int(draw.integers(len(GREETINGS)))],
        "body": body,
        "closing": CLOSINGS[int(draw.integers(len(CLOSINGS)))],
    }
    program = int(draw.integers(5))
    below = [
        part for part in (sender.name, sender.role, sender.company, sender.phone and f"Tel. {sender.phone}") if part
    ]
    if program == 0:
        answered = f"\nOn Mon, 4 May 2026 at 09:14 {sender.name} wrote:\n{_behind(quoted)}\n" if quoted else ""
        return PLAIN.format(**said, below="\n".join(below), small_print=sender.small_print, quoted=answered)
    said = {name: html.escape(text) for name, text in said.items()}
    small_print = html.escape(sender.small_print)
    signed = "<br>".join(map(html.escape, below))
    if program == 1:
        return OFFICE.format(
            **said,
            name=html.escape(sender.name),
            department=html.escape(sender.role),
            company=html.escape(sender.company),
            phone=sender.phone,
            disclaimer=small_print,
        )
    answered = (
        '<div class="gmail_quote"><div class="gmail_attr">On Mon, 4 May 2026 at 09:14'
        f" {html.escape(sender.name)} wrote:<br></div>"
        f'<blockquote class="gmail_quote">{html.escape(quoted)}</blockquote></div>'
        if quoted
        else ""
    )
    form = (GMAIL, WEBMAIL, APPLE)[program - 2]
    return form.format(**said, below=signed, small_print=small_print, quoted=answered)


def _behind(text: str, width: int = 68) -> str:
    """A text behind signs of quotation, in lines."""
    lines: list[str] = []
    for word in text.split():
        if lines and len(lines[-1]) + len(word) < width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "\n".join(f"> {line}" for line in lines)
