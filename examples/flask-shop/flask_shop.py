"""A shop in Flask with a Celery app: products are ingested in the background, events come to a Celery task."""

import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

from celery import Celery
from celery.exceptions import CeleryError
from flask import Flask, abort, redirect, render_template_string, request
from redis.exceptions import RedisError

from celery_recommender import Client, Overloaded, attach

TABLE = """CREATE TABLE IF NOT EXISTS products (
    id INTEGER PRIMARY KEY, title TEXT NOT NULL, sent INTEGER NOT NULL DEFAULT 0, duplicate_of TEXT,
    ms INTEGER NOT NULL DEFAULT 0, n INTEGER NOT NULL DEFAULT 0)"""
FORM = '<form method="post" action="/products"><input name="title" required><button>Save</button></form>'
PAGE = """<h1>{{ title }}</h1>{% if duplicate_of %}<p>same as {{ duplicate_of }}</p>{% endif %}
<ul>{% for one in similar %}<li>{{ one }}</li>{% endfor %}</ul>"""

app = Flask(__name__)
celery = Celery("flask_shop", broker=os.environ["RECOMMENDER_REDIS_URL"])
celery.conf.broker_connection_retry_on_startup = True
attach(celery)
client = Client()
background = ThreadPoolExecutor(max_workers=1)


@contextmanager
def database() -> Iterator[sqlite3.Connection]:
    path = os.environ.get("SHOP_DATABASE", "shop.sqlite3")
    with closing(sqlite3.connect(path, timeout=30)) as connection, connection:
        connection.execute(TABLE)
        yield connection


def send_waiting() -> None:
    """Ingest what has been stored and not been sent; what cannot be sent now waits for the next request."""
    with database() as db:
        waiting = db.execute("SELECT id, title FROM products WHERE NOT sent ORDER BY id LIMIT 100").fetchall()
    for id_, title in waiting:
        try:
            client.ingest({"collection": "products", "id": str(id_), "text": title}, key=f"product {id_}")
        except (RedisError, Overloaded):
            return
        with database() as db:
            db.execute("UPDATE products SET sent = 1 WHERE id = ?", (id_,))


def similar_to(id_: int) -> list[str]:
    """Similar products; none where nobody answers in time: the page is shown without them."""
    try:
        found = client.recommendations("products", item=str(id_), limit=3, timeout_s=1.0)
    except (RedisError, TimeoutError, CeleryError):
        return []
    return [one["text"] for one in found or ()]


@app.get("/")
def form() -> str:
    return FORM


@app.post("/products")
def create():
    title = request.form.get("title", "").strip()[:1000]
    if not title:
        abort(422)
    with database() as db:
        id_ = db.execute("INSERT INTO products (title) VALUES (?)", (title,)).lastrowid
    background.submit(send_waiting)
    return redirect(f"/products/{id_}", code=303)


@app.get("/products/<int:id_>")
def show(id_: int) -> str:
    with database() as db:
        row = db.execute("SELECT title, duplicate_of FROM products WHERE id = ?", (id_,)).fetchone()
    if row is None:
        abort(404)
    background.submit(send_waiting)
    return render_template_string(PAGE, title=row[0], duplicate_of=row[1], similar=similar_to(id_))


@celery.task(name="flask_shop.on_event")
def on_event(event: dict) -> None:
    """Called at least once with each event that changes what is shown, in any order: the newest counts."""
    data, (ms, n) = event["data"], map(int, event["id"].split("-"))
    if event["type"] in ("recommender.item.processed.v1", "recommender.item.revised.v1"):
        with database() as db:
            db.execute(
                "UPDATE products SET duplicate_of = ?, ms = ?, n = ? WHERE id = ? AND (ms, n) < (?, ?)",
                (data["duplicate_of"], ms, n, data["item_id"], ms, n),
            )
