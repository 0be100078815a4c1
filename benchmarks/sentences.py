"""The comparisons of the SBERT paper on data at hand: poolings, losses, a baseline, a cross-encoder."""

from __future__ import annotations

import csv
import gzip
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.output import publish, show, timed
from benchmarks.report import Report
from benchmarks.texts import DATA
from recommender_engine.embedding import KNOWN_MODELS, ModelSource
from recommender_engine.embedding.checks import unit_rows
from recommender_engine.embedding.encoder import Vectors
from recommender_engine.evaluation.sentences import correlation, row_cosines
from recommender_engine.training.bases import Base, find_base, open_bi_encoder, unit_vectors, use_threads
from recommender_engine.training.comparing import compared
from recommender_engine.training.examples import Examples, Parts, Shape
from recommender_engine.training.manifest import Manifest
from recommender_engine.training.running import Origin, train
from recommender_engine.training.settings import TrainingSettings
from recommender_engine.training.tutors import BiEncoderTutor, CrossEncoderTutor

_FOLDER = DATA / "sts"
_POOLINGS = ("mean", "max", "cls")
_SAME = 4.0  # STSb's scores from which a pair counts as one that belongs together
_HELD_OUT = 300

Scored = tuple[str, str, float]


@dataclass(frozen=True)
class Data:
    """Examples of each shape, of STSb and of SICK.

    Attributes:
        by_loss: parts by the name of the loss they are for.
        test: STSb's test split, which all are judged on.
    """

    by_loss: dict[str, Parts]
    test: Examples


@click.command()
@click.option("--limit", default=1000, show_default=True, type=click.IntRange(64), help="Examples a loss trains on.")
@click.option("--epochs", default=1.0, show_default=True, help="Passes over them.")
@click.option("--judged", default=1379, show_default=True, type=click.IntRange(64), help="Pairs they are judged on.")
@click.option("--seed", default=0, show_default=True)
def sentences(limit: int, epochs: float, judged: int, seed: int) -> None:
    """Poolings, losses, averaged token embeddings and a cross-encoder on STSb and SICK."""
    report = measure(limit, epochs, judged, seed)
    show(report)
    publish([report])


@timed
def measure(limit: int, epochs: float, judged: int, seed: int) -> Report:
    """Spearman x 100 on STSb's test split, of each; what is trained next is told on standard error."""
    use_threads(None)
    base, data = find_base(KNOWN_MODELS[0]), read(limit, judged)
    settings = TrainingSettings(epochs=epochs, seed=seed)
    facts: dict[str, Any] = {"averaged input token embeddings, untrained": _averaged(base, data)}
    with tempfile.TemporaryDirectory(prefix="recommender-bench-") as name:
        folder = Path(name)
        for pooling in _POOLINGS:
            changed = settings.model_copy(update={"pooling": pooling})
            made = _trained(base, data.by_loss["cosine"], changed, folder / pooling)
            (test,) = (one for one in made.figures if one.part == "test")
            facts[f"{pooling}: untrained, trained by cosine"] = (
                f"{100 * (test.before or 0):.2f}, {100 * test.after:.2f} ({made.seconds:.0f} s)"
            )
        for loss, parts in data.by_loss.items():
            if loss != "cosine":
                made = _trained(base, parts, settings.model_copy(update={"loss": loss}), folder / loss)
                own = f"{made.figures[0].measure} held out {made.figures[0].after:.4f}"
                facts[f"{loss}: trained on {made.data.train:,} {made.data.trained_as}"] = (
                    f"{_of_model(folder / loss, data)} ({made.seconds:.0f} s; {own})"
                )
        click.echo("judge", err=True)
        train(CrossEncoderTutor(), base, data.by_loss["cosine"], settings, folder / "judge", Origin(("STSb",)))
        both = compared(_found(folder / "mean"), _found(folder / "judge"), data.test)
    for kind, side in (("bi-encoder", both.bi_encoder), ("cross-encoder", both.cross_encoder)):
        facts[f"{kind}, trained on the same: Spearman, a second, hours for 10,000 sentences"] = (
            f"{100 * side.figure:.2f}, {side.per_second:.0f}, {side.hours_for_10000:.3g}"
        )
    trained = f"{limit:,} examples a loss, {epochs:g} epochs, batches of {settings.batch_size}, seed {seed}"
    notes = (f"{trained}; judged on {len(data.test):,} pairs",)
    return Report("sentences", "The comparisons of the SBERT paper on STSb and SICK", facts=facts, notes=notes)


def read(limit: int, most_judged: int) -> Data:
    """At most ``limit`` examples to train on for each loss, 300 held out, and so many pairs of STSb's test split."""
    stsb, sick = _rows("stsbenchmark"), _rows("sick")
    train, held_out, test = (
        [(row["text1"], row["text2"], float(row["score"])) for row in stsb if row["split"] == split]
        for split in ("train", "dev", "test")
    )
    nli, nli_held_out = ([row for row in sick if row["split"] == split] for split in ("train", "trial"))
    judged = _spread(_scores(test), most_judged)
    none = judged.at(())

    def parts(make: Callable[[Any], Examples], ours: Any, kept: Any, tested: Examples = none) -> Parts:
        made, other = make(ours), make(kept)
        return Parts(_spread(made, limit), _spread(other, _HELD_OUT), tested)

    by_loss = {
        "cosine": parts(_scores, train, held_out, judged),
        "contrastive": parts(_answers, train, held_out),
        "ranking": parts(_positives, train, held_out),
        "softmax": parts(_classes, nli, nli_held_out),
        "triplet": parts(_triplets, nli, nli_held_out),
    }
    return Data(by_loss, judged)


def _spread(examples: Examples, limit: int) -> Examples:
    """So many of them, evenly spaced: the files are in the order of their sources."""
    return examples.at(np.unique(np.linspace(0, len(examples) - 1, limit).astype(int)).tolist())


def _rows(name: str) -> list[dict[str, str]]:
    with gzip.open(_FOLDER / f"{name}.csv.gz", "rt", encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _scores(rows: Sequence[Scored]) -> Examples:
    return Examples(Shape.SCORES, tuple(row[:2] for row in rows), tuple(row[2] / 5 for row in rows))


def _answers(rows: Sequence[Scored]) -> Examples:
    """Pairs with a score of 4 or more are the same; those between 2 and 4 are left out."""
    clear = [row for row in rows if not 2 <= row[2] < _SAME]
    return Examples(Shape.ANSWERS, tuple(row[:2] for row in clear), tuple(float(row[2] >= _SAME) for row in clear))


def _positives(rows: Sequence[Scored]) -> Examples:
    same = [row for row in rows if row[2] >= _SAME and row[0] != row[1]]
    return Examples(Shape.POSITIVES, tuple(row[:2] for row in same))


def _classes(rows: Sequence[dict[str, str]]) -> Examples:
    names = tuple(sorted({row["entailment"] for row in rows}))
    texts = tuple((row["text1"], row["text2"]) for row in rows)
    return Examples(Shape.CLASSES, texts, tuple(float(names.index(row["entailment"])) for row in rows), names)


def _triplets(rows: Sequence[dict[str, str]]) -> Examples:
    """A sentence, one that it entails, and one that it contradicts or is neutral to."""
    close: dict[str, str] = {}
    apart: dict[str, str] = {}
    for row in rows:
        found = close if row["entailment"] == "ENTAILMENT" else apart
        for one, other in ((row["text1"], row["text2"]), (row["text2"], row["text1"])):
            found.setdefault(one, other)
    return Examples(Shape.TRIPLETS, tuple((one, close[one], apart[one]) for one in close if one in apart))


def _trained(base: Base, parts: Parts, settings: TrainingSettings, output: Path) -> Manifest:
    click.echo(output.name, err=True)
    return train(BiEncoderTutor(), base, parts, settings, output, Origin(("STSb and SICK",)))


def _found(directory: Path) -> Base:
    return find_base(ModelSource(directory.name, directory))


def _spearman(one: Vectors, other: Vectors, data: Data) -> str:
    return f"{100 * correlation(row_cosines(one, other), np.array(data.test.targets)).spearman:.2f}"


def _of_model(directory: Path, data: Data) -> str:
    model = open_bi_encoder(_found(directory), None)
    one, other = (unit_vectors(model, texts) for texts in zip(*data.test.texts, strict=True))
    return _spearman(one, other, data)


def _averaged(base: Base, data: Data) -> str:
    """The mean of the token embeddings that go into the transformer, none of its layers: what a bag of words knows."""
    model = open_bi_encoder(base, None)
    table = model[0].auto_model.get_input_embeddings().weight.detach().cpu().numpy()

    def vectors(texts: Sequence[str]) -> Vectors:
        ids = model.tokenizer(list(texts), add_special_tokens=False, truncation=True)["input_ids"]
        means = np.stack([table[one].mean(axis=0) for one in ids])
        return unit_rows(means.astype(np.float32))

    one, other = (vectors(texts) for texts in zip(*data.test.texts, strict=True))
    return _spearman(one, other, data)
