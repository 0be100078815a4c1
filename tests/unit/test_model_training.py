"""Training of encoders: every loss for real on a tiny model, runs that are killed, models that are refused."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recommender_engine.embedding import ModelSource
from recommender_engine.errors import ConfigurationError, ModelError
from recommender_engine.training.examples import Examples, Shape, item_digest, scaled, text_digest
from recommender_engine.training.losses import LOSSES, choose
from recommender_engine.training.manifest import (
    MANIFEST,
    Data,
    Manifest,
    digests_of,
    read_manifest,
    require_unchanged,
    write_manifest,
)
from recommender_engine.training.negatives import shaped
from recommender_engine.training.settings import TrainingSettings
from recommender_engine.training.splitting import split
from tests.support.tiny_models import phrases, tiny_model

QUICK = TrainingSettings(epochs=2, batch_size=8, learning_rate=3e-3, warmup=0.0, precision="float32")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


def examples(shape: Shape, count: int = 48) -> Examples:
    """Pairs whose texts are close if they have a word in common: something that can be learned."""
    texts = phrases(3 * count)
    rows = [tuple(texts[3 * n : 3 * n + 3]) for n in range(count)]
    if shape is Shape.TRIPLETS:
        return Examples(shape, tuple((one, f"{one} new", other) for one, other, _ in rows))
    alike = [n % 2 for n in range(count)]
    pairs = tuple((one, f"{one} new" if same else other) for (one, other, _), same in zip(rows, alike, strict=True))
    if shape is Shape.POSITIVES:
        return Examples(shape, tuple((one, f"{one} new") for one, _, _ in rows))
    classes = ("neutral", "entailment") if shape is Shape.CLASSES else ()
    return Examples(shape, pairs, tuple(map(float, alike)), classes)


def trained(base: Path, given: Examples, output: Path, settings: TrainingSettings = QUICK, **more: Any) -> Manifest:
    from recommender_engine.training.bases import find_base
    from recommender_engine.training.running import Origin, train
    from recommender_engine.training.tutors import BiEncoderTutor, CrossEncoderTutor

    tutor = CrossEncoderTutor() if more.pop("cross", False) else BiEncoderTutor()
    parts = split(given, 0.25, settings.seed)
    return train(tutor, find_base(ModelSource("tiny", base)), parts, settings, output, Origin(("file.csv",)), **more)


def encoded(directory: Path, texts: list[str]) -> np.ndarray:
    from recommender_engine.embedding.sentence_transformer import SentenceTransformerEncoder

    return SentenceTransformerEncoder(ModelSource("trained", directory)).encode(texts).vectors


@pytest.mark.parametrize(
    ("loss", "shape", "trained_as"),
    [
        ("cosine", Shape.SCORES, "scores"),
        ("cosine", Shape.ANSWERS, "scores"),
        ("triplet", Shape.TRIPLETS, "triplets"),
        ("triplet", Shape.POSITIVES, "triplets"),
        ("softmax", Shape.CLASSES, "classes"),
        ("ranking", Shape.POSITIVES, "triplets"),
        ("ranking", Shape.ANSWERS, "triplets"),
        ("contrastive", Shape.ANSWERS, "answers"),
    ],
)
def test_each_loss_trains_and_is_chosen_on_a_part_held_out(
    tiny: Path, tmp_path: Path, loss: str, shape: Shape, trained_as: str
) -> None:
    told = []
    manifest = trained(
        tiny, examples(shape), tmp_path / "out", QUICK.model_copy(update={"loss": loss}), told=told.append
    )
    assert manifest.loss == LOSSES[loss].class_name
    assert manifest.data.trained_as == trained_as
    (figure,) = manifest.figures
    assert figure.part == "held_out"
    # What the loss teaches is what the figure measures: these pairs can be learned, and are.
    assert figure.after > (0.7 if figure.before is None else figure.before - 1e-6)
    assert told[-1].step == manifest.steps
    assert told[-1].figure is not None
    before, after = (encoded(one, ["the big red cup 1"]) for one in (tiny, tmp_path / "out"))
    assert not np.allclose(before, after, atol=1e-4)
    assert (tmp_path / "out" / "classifier.safetensors").exists() == (loss == "softmax")
    assert not (tmp_path / "out.training").exists()
    assert f"| held out | {figure.measure} |" in (tmp_path / "out" / "README.md").read_text()


KILLED = """
import os, signal, sys
from pathlib import Path
from recommender_engine.training.examples import Shape
from tests.unit.test_model_training import examples, trained
def told(progress):
    if progress.step == 8:
        os.kill(os.getpid(), signal.SIGKILL)
trained(Path(sys.argv[1]), examples(Shape.ANSWERS), Path(sys.argv[2]), told=told)
"""


def test_a_run_that_was_killed_goes_on_to_the_same_weights(tiny: Path, tmp_path: Path) -> None:
    """Killed in the second epoch, three steps behind a checkpoint, and with a checkpoint that is there in part."""
    undisturbed = trained(tiny, examples(Shape.ANSWERS), tmp_path / "whole")
    run = subprocess.run(
        [sys.executable, "-c", KILLED, str(tiny), str(tmp_path / "out")], capture_output=True, check=False
    )
    assert run.returncode == -signal.SIGKILL, run.stderr[-2000:]
    checkpoints = tmp_path / "out.training" / "checkpoints"
    assert (checkpoints / "checkpoint-6").is_dir()
    shutil.copytree(checkpoints / "checkpoint-6", checkpoints / "checkpoint-7")
    state = checkpoints / "checkpoint-7" / "trainer_state.json"
    state.write_bytes(state.read_bytes()[:100])
    steps = []
    resumed = trained(tiny, examples(Shape.ANSWERS), tmp_path / "out", told=lambda told: steps.append(told.step))
    assert steps[0] == 7
    assert resumed.model == undisturbed.model
    assert resumed.files["model.safetensors"] == undisturbed.files["model.safetensors"]
    assert resumed.figures == undisturbed.figures


def test_a_run_that_was_killed_after_its_last_step_trains_no_further(tiny: Path, tmp_path: Path) -> None:
    """The learned weights of the loss are in the checkpoint too: the classifier is the same."""
    given = examples(Shape.CLASSES)
    undisturbed = trained(tiny, given, tmp_path / "whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recommender_engine.training.running.whole_directory", _killed)
        with pytest.raises(KeyboardInterrupt):
            trained(tiny, given, tmp_path / "out")
    steps: list[int] = []
    resumed = trained(tiny, given, tmp_path / "out", told=lambda told: steps.append(told.step))
    assert steps == []
    assert resumed.files == {**undisturbed.files, "README.md": resumed.files["README.md"]}


def _killed(path: Path) -> None:
    raise KeyboardInterrupt


def test_a_run_goes_on_only_with_what_it_was_started_with(tiny: Path, tmp_path: Path) -> None:
    def stopped(told: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(tiny, examples(Shape.SCORES), tmp_path / "out", told=stopped)
    with pytest.raises(ConfigurationError, match="has other settings, data or base model"):
        trained(tiny, examples(Shape.SCORES, 40), tmp_path / "out")
    (tmp_path / "there").mkdir()
    with pytest.raises(ConfigurationError, match="exists: give a directory that does not"):
        trained(tiny, examples(Shape.SCORES), tmp_path / "there")


def test_minutes_end_a_run_with_the_best_weights_so_far(tiny: Path, tmp_path: Path) -> None:
    settings = QUICK.model_copy(update={"epochs": 50.0, "minutes": 1e-6})
    manifest = trained(tiny, examples(Shape.SCORES), tmp_path / "out", settings)
    assert manifest.steps == manifest.best_step == 1


def test_training_stops_when_the_held_out_part_gains_no_more(tiny: Path, tmp_path: Path) -> None:
    settings = QUICK.model_copy(update={"epochs": 50.0, "patience": 1, "learning_rate": 1e-9})
    manifest = trained(tiny, examples(Shape.SCORES), tmp_path / "out", settings)
    assert manifest.steps < 50


@pytest.mark.parametrize("pooling", ["mean", "max", "cls"])
def test_a_pooling_is_part_of_the_model(tiny: Path, tmp_path: Path, pooling: Any) -> None:
    settings = QUICK.model_copy(update={"pooling": pooling, "epochs": 1.0})
    manifest = trained(tiny, examples(Shape.SCORES), tmp_path / "out", settings)
    assert manifest.pooling == f"{pooling} normalised"
    config = json.loads((tmp_path / "out" / "1_Pooling" / "config.json").read_text())
    assert config["pooling_mode"] == pooling
    from recommender_engine.embedding.sentence_transformer import SentenceTransformerEncoder

    encoder = SentenceTransformerEncoder(ModelSource("trained", tmp_path / "out"))
    assert encoder.identity.fingerprint == manifest.model


def test_a_cross_encoder_is_trained_from_any_model(tiny: Path, tmp_path: Path) -> None:
    from recommender_engine.training.bases import find_base
    from recommender_engine.training.cross_encoders import open_cross_encoder, probabilities

    settings = QUICK.model_copy(update={"epochs": 12.0, "learning_rate": 1e-2, "patience": 30})
    manifest = trained(tiny, examples(Shape.ANSWERS), tmp_path / "out", settings, cross=True)
    assert manifest.kind == "cross-encoder"
    assert manifest.figures[0].after > 0.7
    model = open_cross_encoder(find_base(ModelSource("judge", tmp_path / "out")))
    told = probabilities(model, [("the big red cup 1", "the big red cup 1 new"), ("the big red cup 1", "the old lamp")])
    assert told[0] > told[1]
    with pytest.raises(ConfigurationError, match="trained on scores or answers"):
        trained(tiny, examples(Shape.TRIPLETS), tmp_path / "other", QUICK, cross=True)


# -- what is refused ---------------------------------------------------------------------------------------------------


def _pickled(model: Path) -> None:
    (model / "model.safetensors").rename(model / "pytorch_model.bin")


def _without_tokenizer(model: Path) -> None:
    (model / "tokenizer.json").unlink()


def _with_code_of_its_own(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "modeling.Model"}}))


def _with_a_module_of_its_own(model: Path) -> None:
    modules = json.loads((model / "modules.json").read_text())
    modules[1]["type"] = "modeling.Pooling"
    (model / "modules.json").write_text(json.dumps(modules))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_pickled, "pickled weights only"),
        (_without_tokenizer, r"tokenizer\.json is missing"),
        (_with_code_of_its_own, "has auto_map: the model needs trust_remote_code"),
        (_with_a_module_of_its_own, "must not bring code of its own"),
    ],
)
def test_a_base_is_checked_before_it_is_loaded(tiny: Path, tmp_path: Path, change: Any, told: str) -> None:
    from recommender_engine.training.bases import find_base

    model = shutil.copytree(tiny, tmp_path / "model")
    find_base(ModelSource("model", model))
    change(model)
    with pytest.raises(ModelError, match=told):
        find_base(ModelSource("model", model))


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json", "1_Pooling/config.json", "README.md"])
def test_a_trained_model_that_was_altered_is_refused(tiny: Path, tmp_path: Path, file: str) -> None:
    model = shutil.copytree(tiny, tmp_path / "model")
    (model / "README.md").write_text("card")
    _signed(model)
    assert require_unchanged(model) is not None
    content = bytearray((model / file).read_bytes())
    content[-2] ^= 1
    (model / file).write_bytes(content)
    with pytest.raises(ModelError, match=rf"{Path(file).name}: training\.json expects SHA-256"):
        require_unchanged(model)
    (model / file).unlink()
    with pytest.raises(ModelError, match="found no such file"):
        require_unchanged(model)


def test_a_file_that_training_did_not_write_is_refused(tiny: Path, tmp_path: Path) -> None:
    model = shutil.copytree(tiny, tmp_path / "model")
    _signed(model)
    (model / "modeling.py").write_text("")
    with pytest.raises(ModelError, match=r"modeling\.py: training\.json expects SHA-256 no such file"):
        require_unchanged(model)
    (model / MANIFEST).write_text("{}")
    with pytest.raises(ModelError, match="is no manifest of a trained model"):
        read_manifest(model)


def _signed(model: Path) -> None:
    """A manifest as training writes it."""
    manifest = Manifest(
        kind="bi-encoder",
        model="0",
        base="tiny",
        base_model="0",
        collection=None,
        data=Data(
            digest="0",
            sources=(),
            shape="scores",
            trained_as="scores",
            train=1,
            held_out=0,
            test=0,
            shared_texts=0,
        ),
        loss="CosineSimilarityLoss",
        pooling="mean",
        settings=QUICK,
        steps=1,
        best_step=1,
        seconds=1.0,
        figures=(),
        texts=(),
        items=(),
        files=digests_of(model),
    )
    write_manifest(model, manifest)


# -- examples ----------------------------------------------------------------------------------------------------------


def test_no_text_is_in_both_parts() -> None:
    """Components of up to four examples: a text that two have in common keeps them together."""
    texts = phrases(120)
    pairs = tuple((texts[n // 4], texts[60 + n % 60]) for n in range(120))
    given = Examples(Shape.SCORES, pairs, tuple(n / 120 for n in range(120)))
    for seed in range(5):
        parts = split(given, 0.2, seed)
        assert len(parts.train) + len(parts.held_out) == len(given)
        assert not set(parts.train.distinct) & set(parts.held_out.distinct)
        assert 0 < len(parts.held_out) <= 24
    assert split(given, 0.2, 1) == split(given, 0.2, 1)
    assert split(given, 0.2, 1) != split(given, 0.2, 2)
    assert len(split(given, 0.0, 1).held_out) == 0


def test_examples_that_all_hang_together_cannot_be_divided() -> None:
    chain = Examples(Shape.POSITIVES, tuple((f"text {n}", f"text {n + 1}") for n in range(20)))
    with pytest.raises(ConfigurationError, match="the texts of 20 of 20 examples are connected"):
        split(chain, 0.2, 0)


def test_hard_negatives_are_close_and_of_another_group() -> None:
    angles = {"a": 0.0, "a2": 20.0, "near": 25.0, "nearer": 21.0, "far": 90.0, "said": 120.0}

    def embed(texts: Sequence[str]) -> np.ndarray:
        return np.array(
            [[np.cos(np.radians(angles[one])), np.sin(np.radians(angles[one]))] for one in texts], np.float32
        )

    positives = Examples(Shape.POSITIVES, (("a", "a2"),))
    pool = {"nearer": "other", "near": "another", "far": "third"}
    loss = LOSSES["ranking"]
    # Cosine to a2 is 0.94, of which 0.95 are 0.89: nearer (0.93) and near (0.906) may be positives that nobody named.
    assert shaped(positives, loss, embed, pool).texts == (("a", "a2", "far"),)
    angles["near"] = 30.0
    assert shaped(positives, loss, embed, pool).texts == (("a", "a2", "near"),)
    assert shaped(positives, loss, embed, {**pool, "a": "another"}).texts == (("a", "a2", "far"),)
    answers = Examples(Shape.ANSWERS, (("a", "a2"), ("a", "said")), (1.0, 0.0))
    assert shaped(answers, loss, embed, pool).texts == (("a", "a2", "said"),)
    assert shaped(answers, LOSSES["contrastive"], embed, pool) == answers


def test_the_loss_follows_from_the_shape() -> None:
    chosen = {shape: choose(examples(shape), None).name for shape in Shape}
    assert chosen == {
        Shape.SCORES: "cosine",
        Shape.TRIPLETS: "triplet",
        Shape.CLASSES: "softmax",
        Shape.POSITIVES: "ranking",
        Shape.ANSWERS: "contrastive",
    }
    with pytest.raises(ConfigurationError, match="'softmax' does not take scores; these do: cosine"):
        choose(examples(Shape.SCORES), "softmax")


def test_scores_from_0_to_5_are_scaled() -> None:
    assert scaled([0.0, 2.5, 5.0]) == (0.0, 0.5, 1.0)
    assert scaled([0.0, 0.5, 1.0]) == (0.0, 0.5, 1.0)
    with pytest.raises(ValueError, match="from 0 to 1, or all are from 0 to 5"):
        scaled([7.0])


def test_texts_and_items_are_named_by_digests_of_their_own() -> None:
    assert text_digest("a") != text_digest("b")
    assert item_digest("a", "b") != item_digest("ab", "")
