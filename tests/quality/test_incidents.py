"""An outage that people report in their own words, through the real engine: their reports join, and an alarm opens."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from celery_recommender import samples
from recommender_engine import open_recommender
from recommender_engine.embedding import KNOWN_MODELS, ModelCatalogue
from recommender_engine.items import Event, IncidentOpened
from tests.support.engine import Log
from tools.trials import close_together

pytestmark = [pytest.mark.quality, pytest.mark.model, pytest.mark.timeout(900)]

TEXTS = Path(__file__).with_name("bursts.jsonl")
TICKETS = Path(str(samples.__file__)).with_name("tickets.csv")
MINUTE_MS = 60_000
OPENINGS = ("", "Hello, ", "Good morning. ", "Dear support team, ", "Hi there! ", "Sorry: ", "Please help. ")


def test_an_outage_in_fifty_six_wordings_opens_within_its_first_ten_reports() -> None:
    engine = open_recommender(None, ModelCatalogue(KNOWN_MODELS))
    log = Log()
    with TICKETS.open(encoding="utf-8", newline="") as file:
        tickets = list(csv.DictReader(file))
    days = [
        log.add(
            "item.upsert",
            id=f"t{n}",
            text=f"{row['title']} {row['description']}",
            collection="tickets",
            later_ms=40 * MINUTE_MS,
        )
        for n, row in enumerate(tickets)
    ]
    before = engine.process([log.configure("tickets", incidents=True), *days])
    assert opened_in(before) == []
    (reports,) = [one.reports for one in close_together(TEXTS) if one.name == "transfer-delay"]
    said = [opening + report for opening in OPENINGS for report in reports]
    outage = [
        log.add("item.upsert", id=f"r{n}", text=text, collection="tickets", later_ms=10 * MINUTE_MS // len(said))
        for n, text in enumerate(said)
    ]
    opened_at = [n for n, entry in enumerate(outage, start=1) if opened_in(engine.process([entry]))]
    assert len(opened_at) == 1
    assert opened_at[0] <= 10
    (view,) = engine.incidents("tickets")
    assert view.items >= 20
    assert "ransfer" in view.text or "oney" in view.text
    engine.close()


def opened_in(events: list[Event]) -> list[Event]:
    return [event for event in events if event.data.type == IncidentOpened.type]
