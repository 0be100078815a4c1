"""``recommender pairs``."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import click
import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from celery_recommender.celery.worker.plugin import catalogue
from celery_recommender.cli.common import err, json_option, load_settings, out, print_json, printable, progress_bar
from celery_recommender.cli.input.mapping_options import FileOptions, mapping_options, opened, print_notes
from celery_recommender.cli.input.sending import acceptable
from celery_recommender.cli.input.tally import Tally, show
from celery_recommender.records import BadRow, Items, NoItem, open_writer
from recommender_engine.embedding.encoder import Vectors
from recommender_engine.errors import ConfigurationError
from recommender_engine.items import DEFAULT_MODEL, CollectionSettings, UpsertItem
from recommender_engine.items.commands import validate
from recommender_engine.message import Messages
from recommender_engine.mining import SimilarPair, most_similar_pairs
from recommender_engine.text import clean, fingerprint

_AT_ONCE = 2048
_SHOWN_CHARACTERS = 70
COLUMNS = ("similarity", "id1", "id2", "text1", "text2")


class _Texts(NamedTuple):
    """The contents of a file.

    Attributes:
        ids: of its items.
        texts: the same.
        tally: what became of its rows.
    """

    ids: list[str]
    texts: list[str]
    tally: Tally


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@mapping_options
@click.option("--top", default=100, show_default=True, type=click.IntRange(1, 10_000_000), help="Number of pairs.")
@click.option("--at-least", default=0.0, show_default=True, type=click.FloatRange(-1, 1), help="Smallest similarity.")
@click.option("--no-repeats", is_flag=True, help="Leave out pairs with the same text.")
@click.option("--model", default=DEFAULT_MODEL, show_default=True, help="Embedding model.")
@click.option(
    "--output", metavar="OUT", type=click.Path(dir_okay=False), help="Write them to a CSV, JSONL or Parquet file."
)
@json_option
@click.pass_context
def pairs(
    context: click.Context,
    file: str,
    given: FileOptions,
    *,
    top: int,
    at_least: float,
    no_repeats: bool,
    model: str,
    output: str | None,
    as_json: bool,
) -> None:
    """Show the most similar pairs of FILE.

    All pairs are compared exactly, by the cosine of their embeddings. Nothing is stored, no worker is needed. Verdicts
    come from `recommender enrich`.

    \b
    recommender pairs tickets.csv --text-field subject --text-field body --top 20
    recommender pairs catalogue.parquet --at-least 0.9 --no-repeats --output pairs.csv
    """
    read = _read(file, given)
    if len(read.ids) < 2:
        show(read.tally, err)
        raise ConfigurationError(f"{file} holds {len(read.ids)} items; a pair takes two")
    started = time.perf_counter()
    with progress_bar() as bar:
        vectors = _embedded(read.texts, model, bar)
        embedded_s = time.perf_counter() - started
        comparing = bar.add_task("compared", total=len(vectors) * (len(vectors) + 1) // 2)
        found = most_similar_pairs(
            vectors,
            top,
            at_least,
            _same_text(read.texts) if no_repeats else None,
            lambda count: bar.update(comparing, advance=count),
        )
        bar.update(comparing, completed=len(vectors) * (len(vectors) + 1) // 2)
    rows = [_row(pair, read) for pair in found]
    if output is not None:
        with open_writer(output, COLUMNS, ()) as writer:
            for row in rows:
                writer.write(row)
    seconds = {"embedding": round(embedded_s, 3), "comparing": round(time.perf_counter() - started - embedded_s, 3)}
    if as_json:
        counted = {**read.tally.as_dict(), "items": len(read.ids), "bad_rows": read.tally.failed}
        print_json({**counted, "seconds": seconds, "pairs": rows})
    elif output is None:
        _show(rows)
    _tell(read, seconds, output, len(rows))
    context.exit(read.tally.exit_code)


def _read(file: str, given: FileOptions) -> _Texts:
    ids: dict[int, str] = {}
    texts: dict[int, str] = {}
    messages, settings = Messages(load_settings().message_rules), CollectionSettings()
    tally = Tally(given.on_repeat)
    with opened(file, given) as (reader, item_mapping):
        print_notes(reader, item_mapping)
        items = Items(reader, item_mapping, given.on_repeat, acceptable)
        for one in items:
            tally.add(one)
            if isinstance(one.item, BadRow):
                continue
            number = one.row.number
            text = clean(messages.compared(validate(UpsertItem, one.item), settings).content)
            if not text:
                tally.reject(BadRow(number, "no text that can be seen", NoItem.NO_TEXT))
                continue
            ids[number], texts[number] = str(one.item["id"]), text
    for number in items.replaced:
        ids.pop(number, None)
        texts.pop(number, None)
    return _Texts(list(ids.values()), list(texts.values()), tally)


def _embedded(texts: list[str], model: str, bar: Any) -> Vectors:
    encoder = catalogue(load_settings()).encoder(model)
    embedding = bar.add_task("embedded", total=len(texts))
    distinct = list(dict.fromkeys(texts))
    vectors: dict[str, NDArray[np.float32]] = {}
    for start in range(0, len(distinct), _AT_ONCE):
        batch = distinct[start : start + _AT_ONCE]
        vectors.update(zip(batch, encoder.encode(batch).vectors, strict=True))
        bar.update(embedding, completed=min(len(vectors), len(texts)))
    bar.update(embedding, completed=len(texts))
    return np.stack([vectors[text] for text in texts])


def _same_text(texts: list[str]) -> NDArray[np.int64]:
    numbers: dict[bytes, int] = {}
    return np.array([numbers.setdefault(fingerprint(text), len(numbers)) for text in texts], np.int64)


def _row(pair: SimilarPair, read: _Texts) -> dict[str, Any]:
    return {
        "similarity": round(pair.similarity, 4),
        "id1": read.ids[pair.one],
        "id2": read.ids[pair.other],
        "text1": read.texts[pair.one],
        "text2": read.texts[pair.other],
    }


def _show(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        one, other = (printable(f"  {row[f'id{n}']}  {_short(row[f'text{n}'])}") for n in (1, 2))
        out.print(Text.assemble((f"{row['similarity']:.3f}", "bold"), one))
        out.print(Text.assemble(" " * 5, other))


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"


def _tell(read: _Texts, seconds: dict[str, float], output: str | None, count: int) -> None:
    where = f"; {count:,} pairs in {output}" if output else ""
    took = f"embedded in {seconds['embedding']:.1f} s, compared in {seconds['comparing']:.1f} s"
    err.print(printable(f"{len(read.ids):,} items; {took}{where}"), style="dim")
    show(read.tally, err)
