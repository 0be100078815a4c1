"""Examples to train on, from files and from the answers in a collection; the command that trains on them."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from celery_recommender.celery.worker.plugin import catalogue
from celery_recommender.cli.asking import ask_here
from celery_recommender.cli.input.mapping_options import FileOptions
from celery_recommender.cli.learning.answers import answered_in
from celery_recommender.cli.learning.example_files import ExampleFiles, read_examples
from celery_recommender.settings import Settings
from recommender_engine import Recommender, open_recommender
from recommender_engine.errors import ConfigurationError
from recommender_engine.evaluation import Split
from recommender_engine.training.examples import Shape, item_digest, text_digest
from recommender_engine.training.manifest import read_manifest
from tests.support.command_line import call
from tests.support.engine import Log
from tests.support.tiny_models import phrases, tiny_model


def read(tmp_path: Path, *lines: str, loss: str | None = None, name: str = "pairs.csv") -> ExampleFiles:
    file = tmp_path / name
    file.write_text("\n".join(lines) + "\n")
    return read_examples([str(file)], FileOptions(), loss)


@pytest.mark.parametrize(
    ("header", "row", "shape", "texts"),
    [
        ("text1,text2,score", "a cat,a dog,2.5", Shape.SCORES, ("a cat", "a dog")),
        ("anchor,positive,negative", "a cat,a kitten,a dog", Shape.TRIPLETS, ("a cat", "a kitten", "a dog")),
        ("premise,hypothesis,label", "a cat,a dog,neutral", Shape.CLASSES, ("a cat", "a dog")),
        ("sentence1,sentence2", "a cat,a kitten", Shape.POSITIVES, ("a cat", "a kitten")),
        ("anchor,positive", "a cat,a kitten", Shape.POSITIVES, ("a cat", "a kitten")),
        ("text1,text2,label", "a cat,a dog,0", Shape.ANSWERS, ("a cat", "a dog")),
        ("left_title,right_title,label", "a cat,a dog,no", Shape.ANSWERS, ("a cat", "a dog")),
    ],
)
def test_the_columns_decide_the_shape(
    tmp_path: Path, header: str, row: str, shape: Shape, texts: tuple[str, ...]
) -> None:
    other = {Shape.SCORES: "x,y,5", Shape.CLASSES: "x,y,entailment", Shape.ANSWERS: "x,y,1"}.get(shape, row)
    found = read(tmp_path, header, row, other)
    assert found.examples.shape is shape
    assert found.examples.texts[0] == texts
    targets = {Shape.SCORES: (0.5, 1.0), Shape.CLASSES: (1.0, 0.0), Shape.ANSWERS: (0.0, 1.0)}
    assert found.examples.targets == targets.get(shape, ())
    assert found.bad == []


def test_answers_of_one_kind_are_positives(tmp_path: Path) -> None:
    assert read(tmp_path, "text1,text2,label", "a,b,1", "c,d,yes").examples.shape is Shape.POSITIVES


def test_a_file_with_scores_and_labels_wants_a_loss(tmp_path: Path) -> None:
    lines = ("text1,text2,score,entailment", "a,b,4.5,NEUTRAL", "c,d,1,CONTRADICTION")
    with pytest.raises(ConfigurationError, match=r"scores \('score'\) and labels \('entailment'\): choose by --loss"):
        read(tmp_path, *lines)
    assert read(tmp_path, *lines, loss="cosine").examples.targets == (0.9, 0.2)
    assert read(tmp_path, *lines, loss="softmax").examples.classes == ("contradiction", "neutral")


def test_rows_that_are_no_examples_are_reported(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "text1,text2,score,split",
        "a,b,0.5,train",
        ",b,0.5,train",
        "a,b,six,train",
        "a,b,6,train",
        "a,b,0.5,holdout",
    )
    assert len(found.examples) == 1
    assert [(one.row, one.error.partition(":")[0]) for one in found.bad] == [
        (2, "column 'text1'"),
        (3, "column 'score'"),
        (4, "column 'score'"),
        (5, "column 'split'"),
    ]


def test_a_triplet_whose_texts_do_not_differ_teaches_nothing(tmp_path: Path) -> None:
    found = read(tmp_path, "anchor,positive,negative", "a cat,a kitten,a dog", "a cat,a kitten,a  kitten")
    assert len(found.examples) == 1
    assert [(one.row, one.error) for one in found.bad] == [(2, "columns 'positive' and 'negative': the same text")]


def test_where_no_row_can_be_used_the_first_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"can be used: .*pairs\.csv, row 1: column 'text2': no text"):
        read(tmp_path, "text1,text2,score", "a cat,,1", "a dog,,2")


def test_other_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no columns text1 and text2, nor anchor and positive"):
        read(tmp_path, "question,answer", "a,b")
    with pytest.raises(ConfigurationError, match="labels name 1 classes"):
        read(tmp_path, "text1,text2,label", "a,b,neutral")


def test_splits_of_a_file_are_obeyed(tmp_path: Path) -> None:
    rows = [f"{split} {n},other {n},0.{n}" for split in ("train", "dev", "test") for n in range(1, 9)]
    found = read(tmp_path, "text1,text2,score,split", *(f"{row},{row.split()[0]}" for row in rows))
    parts = found.parts(0.1, 0)
    assert [len(part) for part in (parts.train, parts.held_out, parts.test)] == [8, 8, 8]
    assert parts.shared == 8, "the other texts are in all three"
    assert found.of(Split.TEST) == parts.test
    alone = read(tmp_path, "text1,text2,score", *rows, name="train.csv")
    parts = alone.parts(0.25, 0)
    assert [len(part) for part in (parts.train, parts.held_out, parts.test)] == [18, 6, 0]
    assert parts.shared == 0


def test_answers_of_a_collection_come_with_the_texts_that_were_compared(engine: Recommender, log: Log) -> None:
    engine.process(
        [
            log.upsert("1", "Cannot log in since Monday"),
            log.upsert("2", "Re: Login fails since the weekend"),
            log.upsert("3", "Invoice has the wrong address"),
            log.upsert("4", "Where is my parcel"),
        ]
    )
    engine.process([log.feedback("2", "same", "1"), log.feedback("3", "different", "1")])
    ask: Any = lambda task, *args, **kwargs: ask_here(engine, task, args, kwargs)  # noqa: E731
    found = answered_in(ask, "default", lambda count, total: None)
    assert found.examples.shape is Shape.ANSWERS
    assert {frozenset(texts) for texts in found.examples.texts} == {
        frozenset({"Cannot log in since Monday", "Login fails since the weekend"}),
        frozenset({"Cannot log in since Monday", "Invoice has the wrong address"}),
    }
    assert sorted(found.examples.targets) == [0.0, 1.0]
    assert set(found.items) == {item_digest("default", name) for name in "123"}
    assert "Where is my parcel" in found.pool
    assert found.pool["Cannot log in since Monday"] == found.pool["Login fails since the weekend"]


def test_a_collection_without_answers_says_how_to_give_some(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("1", "one"), log.upsert("2", "two")])
    ask: Any = lambda task, *args, **kwargs: ask_here(engine, task, args, kwargs)  # noqa: E731
    with pytest.raises(ConfigurationError, match="has no answer about two items"):
        answered_in(ask, "default", lambda count, total: None)


def test_the_command_trains_and_measures(tmp_path: Path) -> None:
    base = tiny_model(tmp_path / "tiny")
    texts = phrases(80)
    rows = [f"{texts[n]},{texts[n] if n % 2 else texts[n + 40]},{n % 2}" for n in range(40)]
    (tmp_path / "pairs.csv").write_text("\n".join(["text1,text2,score", *rows]) + "\n")
    (tmp_path / "bad.csv").write_text("text1,text2,score\na,b,0.5\na,,0.5\n")
    settings = Settings(state_dir=tmp_path / "state")
    run = partial(call, settings, "train", "--base", str(base), "--batch-size", "8", "--epochs", "1")
    done = run(str(tmp_path / "pairs.csv"), "--output", str(tmp_path / "out"), "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["kind"] == "bi-encoder"
    assert told["data"]["train"] == 36
    manifest = json.loads((tmp_path / "out" / "training.json").read_text())
    assert manifest["model"] == told["model"]
    assert set(manifest["texts"]) <= {text_digest(text) for text in texts}
    unmoved = run(str(tmp_path / "pairs.csv"), "--output", str(tmp_path / "same"), "--learning-rate", "1e-12")
    assert unmoved.returncode == 0
    assert "the held-out figure did not rise: keep the base model" in unmoved.stderr
    again = run(str(tmp_path / "pairs.csv"), "--output", str(tmp_path / "out"))
    assert again.returncode == 1
    assert "exists: give a directory that does not" in again.stderr
    few = run(str(tmp_path / "bad.csv"), "--held-out", "0", "--output", str(tmp_path / "few"))
    assert few.returncode == 1
    assert "1 examples to train on are less than one batch of 8" in few.stderr
    assert "skipped" in few.stderr, "rows that cannot be used are told before training, also where it fails"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


def _measured(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    done = call(Settings(state_dir=tmp_path / "state", encoder="torch-float32"), "evaluate", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_sts_is_judged_on_its_test_rows(tiny: Path, tmp_path: Path) -> None:
    file = tmp_path / "sts.csv"
    one, *others = phrases(30)
    test = [f"{one},{one},5,test", *(f"{one},{other},{n % 3},test" for n, other in enumerate(others))]
    file.write_text("\n".join(["text1,text2,score,split", *test, "x,y,6,train", "x,z,1,train"]) + "\n")
    settings = Settings(state_dir=tmp_path / "state", encoder="torch-float32")
    done = call(settings, "evaluate", "sts", str(file), "--model", str(tiny))
    assert done.returncode == 3, "one row has no score"
    assert "pairs: 30" in done.stdout
    assert "skipped" in done.stdout
    file.write_text("\n".join(["text1,text2,score,split", *test]) + "\n")
    found = _measured(tmp_path, "sts", str(file), "--model", str(tiny))
    assert found["pairs"] == 30
    assert 0 < found["spearman"] <= 1
    wrong = call(settings, "evaluate", "triplets", str(file), "--model", str(tiny))
    assert "the rows are scores; this takes triplets" in wrong.stderr


@pytest.mark.parametrize("rows", [("a cat,a dog,3",), ("a cat,a dog,3", "a car,a bus,3")])
def test_a_correlation_that_cannot_be_computed_is_one_line(tiny: Path, tmp_path: Path, rows: tuple[str, ...]) -> None:
    file = tmp_path / "sts.csv"
    file.write_text("\n".join(["text1,text2,score", *rows]) + "\n")
    settings = Settings(state_dir=tmp_path / "state", encoder="torch-float32")
    done = call(settings, "evaluate", "sts", str(file), "--model", str(tiny))
    assert done.returncode != 0
    assert "at least two pairs with different scores" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_triplets_are_judged_by_their_accuracy(tiny: Path, tmp_path: Path) -> None:
    texts = phrases(40)
    rows = [f"{texts[n]},{texts[n]},{texts[n + 20]}" for n in range(15)]
    rows += [f"{texts[n]},{texts[n + 20]},{texts[n]}" for n in range(15, 20)]
    (tmp_path / "triplets.csv").write_text("\n".join(["anchor,positive,negative", *rows]) + "\n")
    found = _measured(tmp_path, "triplets", str(tmp_path / "triplets.csv"), "--model", str(tiny))
    assert found["triplets"] == 20
    assert found["accuracy"] == 0.75


def _labelled(file: Path, *labels: str) -> Path:
    """Pairs of which every second is twice the same text, which has the second label."""
    texts = phrases(80)
    rows = [f"{texts[n]},{texts[n] if n % 2 else texts[n + 40]},{labels[n % 2]}" for n in range(40)]
    file.write_text("\n".join(["text1,text2,label", *rows]) + "\n")
    return file


def test_nli_is_judged_by_the_classifier_that_was_saved(tiny: Path, tmp_path: Path) -> None:
    file = _labelled(tmp_path / "nli.csv", "neutral", "entailment")
    untrained = call(Settings(), "evaluate", "nli", str(file), "--model", str(tiny))
    assert "has no classifier: train it with classes" in untrained.stderr
    train = ("train", str(file), "--base", str(tiny), "--epochs", "6", "--batch-size", "4", "--learning-rate", "0.003")
    done = call(Settings(state_dir=tmp_path / "state"), *train, "--output", str(tmp_path / "nli"))
    assert done.returncode == 0, done.stderr
    found = _measured(tmp_path, "nli", str(file), "--model", str(tmp_path / "nli"))
    assert found["of_the_most_frequent"] == 0.5
    assert found["accuracy"] > 0.7
    other = _labelled(tmp_path / "other.csv", "neutral", "paraphrase")
    unknown = call(Settings(), "evaluate", "nli", str(other), "--model", str(tmp_path / "nli"))
    assert "the classifier tells entailment, neutral, not paraphrase" in unknown.stderr


def test_a_cross_encoder_is_compared_with_a_bi_encoder(tiny: Path, tmp_path: Path) -> None:
    file = _labelled(tmp_path / "pairs.csv", "0", "1")
    train = ("train", str(file), "--base", str(tiny), "--cross-encoder", "--epochs", "1", "--batch-size", "8")
    done = call(Settings(state_dir=tmp_path / "state"), *train, "--output", str(tmp_path / "judge"))
    assert done.returncode == 0, done.stderr
    models = ("--model", str(tiny), "--cross-encoder", str(tmp_path / "judge"))
    found = _measured(tmp_path, "cross-encoder", str(file), *models)
    assert found["pairs"] == 40
    assert found["bi_encoder"]["figure"] == 1.0, "the same text has cosine 1"
    judge = found["cross_encoder"]
    assert 0 < judge["figure"] <= 1
    assert judge["hours_for_10000"] == pytest.approx(49_995_000 / judge["per_second"] / 3600, rel=1e-3)


def test_the_command_trains_on_the_answers_of_a_collection(tiny: Path, tmp_path: Path, log: Log) -> None:
    """Read from the state, since no worker runs; what the model was trained on is told by digests alone."""
    settings = Settings(state_dir=tmp_path / "state", models=(f"tiny={tiny}",), encoder="torch-float32")
    engine = open_recommender(settings.partition_dir, catalogue(settings), partition=settings.partition)
    texts = phrases(12)
    engine.process([log.add("collection.configured", collection="default", settings={"model": "tiny"})])
    engine.process([log.upsert(str(n), text) for n, text in enumerate(texts)])
    engine.process([log.feedback(str(n + 1), ("same", "different")[n // 2 % 2], str(n)) for n in range(0, 12, 2)])
    engine.close()
    train = ("train", "--base", str(tiny), "--held-out", "0", "--batch-size", "2", "--epochs", "1", "--json")
    done = call(settings, *train, "--output", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["collection"] == "default"
    assert told["loss"] == "OnlineContrastiveLoss"
    assert (told["data"]["train"], told["data"]["held_out"], told["figures"]) == (6, 0, [])
    manifest = read_manifest(tmp_path / "out")
    assert manifest is not None
    assert set(manifest.items) == {item_digest("default", str(n)) for n in range(12)}
    assert set(manifest.texts) == {text_digest(text) for text in texts}
    missing = call(settings, *train, "--output", str(tmp_path / "other"), "--collection", "none")
    assert missing.returncode == 1
    assert "there is no collection 'none'" in missing.stderr
