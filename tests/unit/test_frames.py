"""Data frames of pandas and polars through an engine in this process."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

from celery_recommender import dedupe, similar
from celery_recommender.cli.run.samples import sample_file
from celery_recommender.frames.columns import ADDED
from celery_recommender.records import MappingOptions, open_records, resolve_mapping
from recommender_engine import EntryId, Recommender, decode_entry, open_recommender
from recommender_engine.embedding import Encoder
from recommender_engine.embedding.encoder import Embeddings
from recommender_engine.errors import ConfigurationError, InvalidCommand
from recommender_engine.items import DEFAULT_MODEL
from recommender_engine.testing import DeterministicEncoder, DeterministicEncoders

MODELS = DeterministicEncoders(DEFAULT_MODEL)
ROWS = {
    "id": [11, 12, 13, 14, 15],
    "text": [
        "the printer in room twelve is on fire",
        "the printer in room  TWELVE is on fire",
        "my password is not accepted since the update",
        None,
        "a mug came without its handle",
    ],
    "price": [1.5, 1.5, 3.0, 4.0, None],
    "opened": [dt.datetime(2026, 3, day) for day in range(1, 6)],
}


class Counting:
    """Encoders that count the texts which they embed."""

    names = (DEFAULT_MODEL,)

    def __init__(self) -> None:
        self.texts = 0
        self._encoder = DeterministicEncoder()
        self.identity = self._encoder.identity

    def encoder(self, name: str) -> Encoder:
        return self

    def encode(self, texts: Sequence[str]) -> Embeddings:
        self.texts += len(texts)
        return self._encoder.encode(texts)


@pytest.fixture(scope="module")
def products() -> pd.DataFrame:
    """Sample products that repeat one another; what they repeat is no column of theirs."""
    with sample_file("products") as path:
        every = pd.read_csv(path)
    chosen = every[every["duplicate_of"].notna() | every["id"].isin(every["duplicate_of"])]
    return chosen.drop(columns=["duplicate_of", "near_miss_of"]).reset_index(drop=True)


def engine_that_saw(products: pd.DataFrame) -> Recommender:
    """An engine that was handed the rows as anybody would who writes the commands."""
    engine = open_recommender(None, MODELS)
    entries = []
    for number, row in enumerate(products.to_dict("records"), start=1):
        fields = {name: row[name] for name in ("title", "description")}
        data = {"id": row["id"], "fields": fields, "attributes": {"price_eur": row["price_eur"]}}
        entries.append(decode_entry(EntryId(1_764_000_000_000 + number, 0), "item.upsert", json.dumps(data)))
    for start in range(0, len(entries), 7):
        engine.process(entries[start : start + 7])
    return engine


def test_rows_get_the_verdicts_of_a_worker(products: pd.DataFrame) -> None:
    shuffled = products.sample(frac=1, random_state=3).set_index(pd.Index([f"r{n}" for n in range(len(products))]))
    before = shuffled.copy()
    found = dedupe(shuffled, attributes=["price_eur"], encoders=MODELS)
    pd.testing.assert_frame_equal(shuffled, before)
    pd.testing.assert_frame_equal(found.frame[list(before.columns)], before)
    assert list(found.frame.columns) == [*before.columns, *ADDED]
    with contextlib.closing(engine_that_saw(shuffled)) as engine:
        for row in found.frame.to_dict("records"):
            view = engine.get(row["id"])
            assert view is not None
            said = (view.band.value, view.group, view.canonical_id, view.probability)
            assert said == (row["band"], row["group"], row["canonical_id"], row["probability"])
            for name in ("duplicate_of", "matched_id"):
                assert getattr(view, name) == (None if pd.isna(row[name]) else row[name])
            hits = engine.recommend(row["id"], limit=5)
            assert row["similar_ids"] == [hit.id for hit in hits or ()]
    assert found.bands["duplicate"] >= 2
    assert found.bands["review"] > 3
    assert found.duplicates["id"].tolist() == found.frame.query("band == 'duplicate'")["id"].tolist()
    assert set(found.unique["canonical_id"]) == set(found.frame["canonical_id"])
    assert found.unique["canonical_id"].tolist() == found.unique["id"].tolist()


def test_polars_gets_what_pandas_gets(products: pd.DataFrame) -> None:
    one = dedupe(products, attributes=["price_eur"], encoders=MODELS)
    frame = pl.DataFrame(products.to_dict("list"))
    other = dedupe(frame, attributes=["price_eur"], encoders=MODELS)
    assert isinstance(other.frame, pl.DataFrame)
    assert other.frame.select(products.columns.tolist()).equals(frame)
    assert other.frame.schema["similar_ids"] == pl.List(pl.String)
    assert other.frame.schema["price_eur"] == pl.Float64
    theirs = [{name: None if _none(value) else value for name, value in row.items()} for row in _records(one.frame)]
    assert other.frame.rows(named=True) == theirs
    assert one.pairs["item_id"].tolist() == other.pairs["item_id"].to_list()
    assert one.unique["id"].tolist() == other.unique["id"].to_list()


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return frame.to_dict("records")


def _none(value: Any) -> bool:
    return not isinstance(value, list) and bool(pd.isna(value))


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame])
def test_a_row_without_a_verdict_is_kept_and_says_why(library: Any) -> None:
    found = dedupe(library({**ROWS, "id": [11, 12, 13, 14, 11]}), timestamp="opened", encoders=MODELS)
    rows = _records(found.frame) if library is pd.DataFrame else found.frame.rows(named=True)
    assert [row["id"] for row in rows] == [11, 12, 13, 14, 11]
    assert [None if _none(row["error"]) else row["error"] for row in rows] == [
        None,
        None,
        None,
        "no text in column 'text'",
        "the id of row 1 once more",
    ]
    assert [_none(row["band"]) for row in rows] == [False, False, False, True, True]
    assert "2 rows without a verdict" in found._repr_html_()
    assert len(found.unique) == 4


def test_whole_numbers_stay_whole_numbers_beside_rows_that_have_none() -> None:
    frame = dedupe(pd.DataFrame(ROWS), timestamp="opened", encoders=MODELS).frame
    assert frame["duplicate_of"].dtype == "Int64"
    assert (frame["band"][1], frame["duplicate_of"][1]) == ("duplicate", 11)
    assert str(frame["opened"].dtype).startswith("datetime64")
    assert frame["price"].dtype == "float64"
    found = dedupe(pl.DataFrame(ROWS), timestamp="opened", encoders=MODELS)
    assert found.frame.schema["duplicate_of"] == pl.Int64
    assert found.frame.schema["similar_ids"] == pl.List(pl.Int64)
    assert found.pairs.select("item_id", "matched_id").rows()[0] == (12, 11)


def test_rows_without_ids_are_named_by_their_index() -> None:
    frame = pd.DataFrame({"text": ROWS["text"]}, index=pd.Index(["a", "b", "c", "d", "e"]))
    assert dedupe(frame, encoders=MODELS).frame.loc["b", "duplicate_of"] == "a"
    frame.index = pd.Index([7, 7, 8, 9, 10])
    assert dedupe(frame, encoders=MODELS).frame["duplicate_of"].tolist()[1] == 0, "by place: the index repeats"
    frame.index = pd.Index([1, "1", 2, 3, 4], dtype=object)
    assert dedupe(frame, encoders=MODELS).frame["duplicate_of"].tolist()[1] == 0, "by place: two are written alike"


def test_columns_are_guessed_as_those_of_a_file(products: pd.DataFrame, tmp_path: Path) -> None:
    from celery_recommender.frames.libraries import frame_of
    from celery_recommender.frames.source import read_frame

    for name, columns in (("products", None), ("tickets", ["description", "requester", "created_at", "product"])):
        with sample_file(name) as path:
            frame = pd.read_csv(path)[columns] if columns else products
        file = tmp_path / f"{name}.csv"
        frame.to_csv(file, index=False)
        with open_records(file) as reader:
            of_file = resolve_mapping(reader, MappingOptions())
        for one in (frame, pl.read_csv(file)):
            _, of_frame = read_frame(frame_of(one), MappingOptions())
            assert (of_frame.id_field, of_frame.text_fields) == (of_file.id_field, of_file.text_fields)


def test_a_kept_state_compares_a_frame_with_earlier_ones(tmp_path: Path) -> None:
    state = tmp_path / "state"
    march = dedupe(pd.DataFrame(ROWS), encoders=MODELS, state=state)
    assert march.bands["duplicate"] == 1
    april = pd.DataFrame({"id": [21, 22], "text": [ROWS["text"][2], "where is my invoice of last week"]})
    found = dedupe(april, encoders=MODELS, state=state)
    assert found.frame["band"].tolist()[0] == "duplicate"
    assert found.frame["duplicate_of"].tolist()[0] == 13
    assert found.pairs["matched_text"].tolist()[0] == ROWS["text"][2]
    assert ROWS["text"][2] in found.report()
    assert found.again(review_budget=None).frame["duplicate_of"].tolist()[0] == 13
    with pytest.raises(ConfigurationError, match="need ids of their own"):
        dedupe(april[["text"]], encoders=MODELS, state=state)
    assert similar(april, limit=1, encoders=MODELS, state=tmp_path / "other")["similar_ids"].tolist() == [[22], [21]]


def test_other_settings_are_tried_without_embedding_again(products: pd.DataFrame) -> None:
    models = Counting()
    found = dedupe(products, encoders=models)
    embedded = models.texts
    assert embedded > 100
    settings = {"review_budget": None, "review_from": 0.1}
    again = found.again(**settings)
    assert models.texts == embedded
    assert again.bands["review"] > found.bands["review"]
    anew = dedupe(products, encoders=MODELS, settings=settings)
    assert again.frame["band"].tolist() == anew.frame["band"].tolist()
    assert again.frame["matched_id"].dropna().tolist() == anew.frame["matched_id"].dropna().tolist()
    assert found.again().frame["band"].tolist() == found.frame["band"].tolist()
    with pytest.raises(InvalidCommand, match="target"):
        found.again(target=0.9)
    with pytest.raises(ConfigurationError, match="recorded vectors"):
        found.again(model="other")


def test_similar_rows_have_scores(products: pd.DataFrame) -> None:
    found = similar(products, limit=3, encoders=MODELS)
    assert found.columns.tolist() == [*products.columns, "similar_ids", "similar_scores", "error"]
    assert max(map(len, found["similar_ids"])) == 3
    for ids, scores in zip(found["similar_ids"], found["similar_scores"], strict=True):
        assert len(ids) == len(scores)
        assert scores == sorted(scores, reverse=True)


def test_a_frame_that_cannot_be_used_is_refused_with_advice() -> None:
    frame = pd.DataFrame(ROWS)
    with pytest.raises(ConfigurationError, match=r"not builtins\.list"):
        dedupe(ROWS["text"])
    with pytest.raises(ConfigurationError, match=r"collect\(\) it first"):
        dedupe(pl.DataFrame(ROWS).lazy())
    with pytest.raises(ConfigurationError, match="two columns of the frame are named 'id'"):
        dedupe(pd.DataFrame([[1, "x"]], columns=["id", "id"]))
    with pytest.raises(ConfigurationError, match="a column 'band' already: choose other names with prefix="):
        dedupe(frame.assign(band="x"), encoders=MODELS)
    assert "x_band" in dedupe(frame.assign(band="x"), prefix="x_", encoders=MODELS).frame
    with pytest.raises(ConfigurationError, match=r"say text=COLUMN"):
        dedupe(pd.DataFrame({"a": ["one two three"], "b": ["four five six"]}), encoders=MODELS)
    with pytest.raises(ConfigurationError, match=r"\(text=COLUMN takes one all the same\)"):
        dedupe(pd.DataFrame({"a": [1, 2]}), encoders=MODELS)
    with pytest.raises(InvalidCommand, match="nothing"):
        dedupe(frame, settings={"nothing": 1}, encoders=MODELS)
    with pytest.raises(InvalidCommand, match="other"):
        dedupe(frame, settings={"model": "other"}, encoders=MODELS)
    with pytest.raises(ConfigurationError, match="similar is from 0 to 100, not 101"):
        dedupe(frame, similar=101, encoders=MODELS)
    with pytest.raises(ConfigurationError, match="limit is from 1 to 100, not 0"):
        similar(frame, limit=0, encoders=MODELS)
    with pytest.raises(ConfigurationError, match="on_repeat is one of error, last, suffix, not 'first'"):
        dedupe(frame, on_repeat="first", encoders=MODELS)


def test_an_empty_frame_has_no_rows_before_and_after() -> None:
    for frame in (pd.DataFrame(ROWS).iloc[:0], pl.DataFrame(ROWS).clear()):
        found = dedupe(frame, encoders=MODELS)
        assert len(found.frame) == len(found.pairs) == len(found.again().frame) == 0
        assert "No two items are in one group" in found.report()


def test_a_notebook_shows_a_short_summary_of_escaped_names() -> None:
    frame = pd.DataFrame({"<script>": ROWS["text"], "id": ROWS["id"]})
    shown = dedupe(frame, text="<script>", encoders=MODELS)._repr_html_()
    assert "<script>" not in shown
    assert "5 rows: <b>1</b> duplicate" in shown
    assert len(shown) < 1000
