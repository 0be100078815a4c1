"""Registered models: what is refused, what is copied, and how a process finds them."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path

import pytest

from recommender_engine.embedding import ModelCatalogue, ModelRegistry, ModelSource, RegisteredModel
from recommender_engine.embedding.model_files import verify
from recommender_engine.errors import ConfigurationError, ModelError
from tests.unit.test_model_files import FILES, write_model


def registered(registry: ModelRegistry, path: Path, name: str = "tuned") -> ModelSource:
    source = registry.copy(path, name)
    registry.register(
        RegisteredModel(name=name, files=dict(source.sha256), digest="0" * 16, dimension=8, max_tokens=16)
    )
    found = registry.source(name)
    assert found is not None
    return found


def test_files_are_copied_and_their_digests_kept(tmp_path: Path) -> None:
    path = write_model(tmp_path / "model", FILES | {"README.md": b"card", "own.py": b"x", "old.bin": b"x"})
    source = registered(ModelRegistry(tmp_path / "models"), path)
    assert source.directory is not None
    here = {one.relative_to(source.directory).as_posix() for one in source.directory.rglob("*") if one.is_file()}
    assert here == {*FILES, "README.md"}
    assert source.sha256 == {name: hashlib.sha256((path / name).read_bytes()).hexdigest() for name in here}


@pytest.mark.parametrize("way", [".tuned", ".tuned/1_Pooling/.."])
def test_hidden_files_are_left_out_and_a_hidden_directory_is_not(tmp_path: Path, way: str) -> None:
    hidden = {".cache/config.json": b"{}", ".cache/deep/er/config.json": b"{}", ".notes.txt": b"x"}
    write_model(tmp_path / ".tuned", FILES | hidden)
    source = registered(ModelRegistry(tmp_path / "models"), tmp_path / way)
    assert set(source.sha256) == set(FILES)


@pytest.mark.parametrize(
    ("files", "refusal"),
    [
        (FILES | {"config.json": b'{"auto_map": {"AutoModel": "own.Model"}}'}, "trust_remote_code"),
        (FILES | {"modules.json": json.dumps([{"type": "own.Model", "path": ""}]).encode()}, "code of its own"),
        ({**{n: c for n, c in FILES.items() if n != "model.safetensors"}, "pytorch_model.bin": b"x"}, "pickled"),
        ({name: content for name, content in FILES.items() if name != "tokenizer.json"}, "tokenizer.json is missing"),
        ({}, "not the folder of a sentence-transformers model"),
        (
            FILES | {"training.json": json.dumps({"files": {"model.safetensors": "0" * 64}}).encode()},
            "expected SHA-256 0000",
        ),
        (FILES | {"training.json": b"[]"}, "states no files"),
        (FILES | {"config.json": b"{"}, "is not JSON"),
    ],
)
def test_what_is_no_safe_model_is_refused(tmp_path: Path, files: dict[str, bytes], refusal: str) -> None:
    (tmp_path / "model").mkdir()
    registry = ModelRegistry(tmp_path / "models")
    with pytest.raises(ModelError, match=refusal):
        registry.copy(write_model(tmp_path / "model", files), "tuned")
    assert not registry.models()
    assert not (tmp_path / "models").exists(), "nothing was copied"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "1_Pooling/config.json"])
def test_a_file_that_is_altered_later_is_refused(tmp_path: Path, name: str) -> None:
    source = registered(ModelRegistry(tmp_path / "models"), write_model(tmp_path / "model"))
    assert source.directory is not None
    (source.directory / name).write_bytes(b"other")
    with pytest.raises(ModelError, match=f"{name}: expected SHA-256"):
        verify(source.directory, source)


def test_one_name_is_one_model(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path / "models")
    registered(registry, write_model(tmp_path / "model"))
    registered(registry, tmp_path / "model")  # again
    other = write_model(tmp_path / "other", FILES | {"model.safetensors": b"others"})
    with pytest.raises(ConfigurationError, match="registered with other files"):
        registered(registry, other)
    assert len([path for path in registry.directory.iterdir() if path.is_dir()]) == 1, "nothing is copied for it"
    with pytest.raises(ConfigurationError, match="a name is"):
        registry.copy(other, "a/b")


def test_a_process_finds_a_model_without_a_restart(tmp_path: Path) -> None:
    catalogue = ModelCatalogue([ModelSource("first")], registry=ModelRegistry(tmp_path / "models"))
    assert catalogue.names == ("first",)
    registered(ModelRegistry(tmp_path / "models"), write_model(tmp_path / "model"))
    assert catalogue.names == ("first", "tuned")
    assert copy.copy(catalogue).names == ("first", "tuned"), "as a process of our own is given it"


def test_a_record_that_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path / "models")
    registered(registry, write_model(tmp_path / "model"))
    (tmp_path / "models" / "broken.json").write_text("{")
    assert list(ModelRegistry(tmp_path / "models").models()) == ["tuned"]
