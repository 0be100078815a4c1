"""Tickets written for this project that share a template and differ in the one line that matters.

Forms, alerts and mails made by programs look like this: nearly all words are the same, and each is about something
else. Each template comes in ``VARIANTS`` variants; of a few tickets there is a true second one: the same case, sent
again in slightly other words.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

VARIANTS = 40
REPEATED = 3  # of each template
SEED = 20


class Ticket(NamedTuple):
    """One ticket, and the one it repeats."""

    id: str
    title: str
    body: str
    template: str
    repeats: str | None = None


class Values(NamedTuple):
    """What a template is filled with; every variant gets values of its own."""

    number: int
    code: str
    host: str
    day: str
    clock: str
    amount: str
    room: str
    version: str
    terminal: str
    serial: str
    percent: int


_HOSTS = ("db", "web", "cache", "mail", "build")
_FLOORS = ("A", "B", "C", "D")

TEMPLATES = {
    "order_status": """Where is my order?
Hello,
I placed an order in your shop and have not received a shipping notice yet.
Order number: {number}
Please let me know when the parcel will leave your warehouse.
Kind regards""",
    "app_error": """Error report from the mobile app
This report was created automatically. The app stopped unexpectedly while the user opened a screen.
Error code: {code}
The user agreed to send diagnostic data. No further action was taken on the device.""",
    "disk_alert": """[ALERT] disk usage {percent}% on {host}
time={day}T{clock}:00Z
host={host} mount=/var/lib/data usage={percent}% threshold=85%
runbook: disk-full
This alert repeats every hour until it is acknowledged.""",
    "refund": """Refund request
A customer asks for a refund through the web form.
Amount: {amount} EUR
Reason: the goods were returned unused in the original packaging.
Payment: credit card.""",
    "heating": """Facility request: heating
Category: heating and ventilation
Room: {room}
Description: the radiator stays cold although the valve is fully open.
Priority: normal""",
    "update_failed": """Update cannot be installed
The installer of the accounting client stops and the previous release is started again.
Version to install: {version}
The log says that the package could not be verified. We tried it as administrator.""",
    "device_repair": """Repair order for a handheld scanner
Serial number: {serial}
Fault: the trigger works, but the beam does not light up.
The device is under warranty. Please send a prepaid label for the return.""",
    "invoice_copy": """Copy of an invoice needed
Dear accounting team,
for our tax adviser we need a copy of the following invoice as PDF.
Invoice: INV-{number}
Please send it to the address on file.
Thank you in advance""",
    "terminal_down": """Terminal out of service
Date: {day}, {clock}
Terminal: {terminal}
The card terminal at the checkout does not connect to the payment host.
It was restarted twice. Customers are sent to another checkout.""",
    "job_failed": """Nightly export failed
The scheduled export did not finish and was rolled back.
Job id: {code}-{number}
State: failed after three attempts. Owner: data platform. The next run is scheduled as usual.""",
}
"""Title on the first line, then the text."""


def tickets() -> list[Ticket]:
    """All tickets in the order of their arrival, templates mixed; a repeat comes after what it repeats."""
    draw = np.random.default_rng(SEED)
    found = []
    for name, template in TEMPLATES.items():
        for variant, values in enumerate(_values(draw)):
            title, _, body = template.format_map(values._asdict()).partition("\n")
            found.append(Ticket(f"{name}-{variant}", title, body, name))
    mixed = [found[place] for place in draw.permutation(len(found))]
    first: dict[str, int] = {}
    repeats = []
    for ticket in mixed:
        first[ticket.template] = first.get(ticket.template, 0) + 1
        if first[ticket.template] <= REPEATED:
            repeats.append(_again(ticket))
    return mixed + repeats


def _values(draw: np.random.Generator) -> Iterator[Values]:
    """Values of which no two variants share one that tells them apart."""
    numbers = draw.choice(np.arange(400_000, 900_000), VARIANTS, replace=False)
    codes = draw.choice(np.arange(1000, 9999), VARIANTS, replace=False)
    cents = draw.choice(np.arange(1_000, 50_000), VARIANTS, replace=False)
    serials = draw.choice(np.arange(10_000, 99_999), VARIANTS, replace=False)
    for variant in range(VARIANTS):
        yield Values(
            number=int(numbers[variant]),
            code=f"E-{codes[variant]}",
            host=f"{_HOSTS[variant % len(_HOSTS)]}-{variant // len(_HOSTS) + 1:02d}",
            day=f"2026-0{variant % 9 + 1}-{variant % 28 + 1:02d}",
            clock=f"{variant % 24:02d}:{(7 * variant) % 60:02d}",
            amount=f"{cents[variant] / 100:.2f}",
            room=f"{_FLOORS[variant % len(_FLOORS)]}{variant // len(_FLOORS) + 1}{variant % 10:02d}",
            version=f"{variant // 20 + 4}.{variant % 20}.{variant % 3}",
            terminal=f"POS-{codes[variant]}",
            serial=f"SN-{serials[variant]}-{_FLOORS[variant % len(_FLOORS)]}",
            percent=int(85 + variant % 15),
        )


def _again(ticket: Ticket) -> Ticket:
    """The same case once more."""
    body = f"{ticket.body}\nThis is the second time I send this, I have had no answer so far."
    return Ticket(f"{ticket.id}-again", ticket.title, body, ticket.template, repeats=ticket.id)
