"""A help desk in FastAPI: tickets are ingested in the background, verdicts come by webhook."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from html import escape

from celery.exceptions import CeleryError
from fastapi import BackgroundTasks, Depends, FastAPI, Form, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from redis.exceptions import RedisError
from standardwebhooks import Webhook, WebhookVerificationError

from celery_recommender import Client, Overloaded

TABLE = """CREATE TABLE IF NOT EXISTS tickets (
    id INTEGER PRIMARY KEY, text TEXT NOT NULL, sent INTEGER NOT NULL DEFAULT 0, duplicate_of TEXT,
    ms INTEGER NOT NULL DEFAULT 0, n INTEGER NOT NULL DEFAULT 0)"""
FORM = '<form method="post" action="/tickets"><textarea name="text" required></textarea><button>Send</button></form>'
VERDICTS = ("recommender.item.processed.v1", "recommender.item.revised.v1")

app = FastAPI()
client = Client()
webhook = Webhook(os.environ["WEBHOOK_SECRET"])


@contextmanager
def database() -> Iterator[sqlite3.Connection]:
    path = os.environ.get("TICKETS_DATABASE", "tickets.sqlite3")
    with closing(sqlite3.connect(path, timeout=30)) as connection, connection:
        connection.execute(TABLE)
        yield connection


def send_waiting() -> None:
    """Ingest what has been stored and not been sent; what cannot be sent now waits for the next request."""
    with database() as db:
        waiting = db.execute("SELECT id, text FROM tickets WHERE NOT sent ORDER BY id LIMIT 100").fetchall()
    for id_, text in waiting:
        try:
            client.ingest({"collection": "tickets", "id": str(id_), "text": text}, key=f"ticket {id_}")
        except (RedisError, Overloaded):
            return
        with database() as db:
            db.execute("UPDATE tickets SET sent = 1 WHERE id = ?", (id_,))


def similar_to(id_: int) -> list[str]:
    """Texts of similar tickets; none where nobody answers in time: the page is shown without them."""
    try:
        found = client.recommendations("tickets", item=str(id_), limit=3, timeout_s=1.0)
    except (RedisError, TimeoutError, CeleryError):
        return []
    return [one["text"] for one in found or ()]


@app.get("/", response_class=HTMLResponse)
def form() -> str:
    return FORM


@app.post("/tickets")
def create(text: str = Form(min_length=1, max_length=20_000), *, background: BackgroundTasks) -> Response:
    with database() as db:
        id_ = db.execute("INSERT INTO tickets (text) VALUES (?)", (text,)).lastrowid
    background.add_task(send_waiting)
    return RedirectResponse(f"/tickets/{id_}", status_code=303)


@app.get("/tickets/{id_}", response_class=HTMLResponse)
def show(id_: int, background: BackgroundTasks) -> str:
    with database() as db:
        row = db.execute("SELECT text, duplicate_of FROM tickets WHERE id = ?", (id_,)).fetchone()
    if row is None:
        raise HTTPException(404)
    background.add_task(send_waiting)
    text, duplicate_of = row
    remark = (
        f'<p>same as <a href="/tickets/{escape(duplicate_of)}">{escape(duplicate_of)}</a></p>' if duplicate_of else ""
    )
    return f"<h1>{escape(text)}</h1>{remark}<ul>{''.join(f'<li>{escape(one)}</li>' for one in similar_to(id_))}</ul>"


async def body_of(request: Request) -> bytes:
    return await request.body()


@app.post("/hooks/recommender", status_code=204)
def receive(request: Request, body: bytes = Depends(body_of)) -> None:  # in a thread: it waits for the database
    try:
        event = webhook.verify(body, dict(request.headers))
    except WebhookVerificationError:
        raise HTTPException(401) from None
    if event["type"] in VERDICTS:
        data, (ms, n) = event["data"], map(int, event["id"].split("-"))
        with database() as db:  # events may be repeated: the newest counts
            db.execute(
                "UPDATE tickets SET duplicate_of = ?, ms = ?, n = ? WHERE id = ? AND (ms, n) < (?, ?)",
                (data["duplicate_of"], ms, n, data["item_id"], ms, n),
            )
