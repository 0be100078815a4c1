"""Registered models: directories that were checked, copied, and are known by a name and the digests of their files.

Every process that shares the folder finds a model as soon as it is registered; a file that is altered later is refused
when the model is loaded.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from recommender_engine.embedding.model_files import refuse_code, verify
from recommender_engine.embedding.model_source import NAME, ModelSource
from recommender_engine.errors import ConfigurationError, ModelError
from recommender_engine.files import copy_file, make_directory, whole_directory, whole_file
from recommender_engine.items.values import Value

_RECORD = ".json"
_TAKEN = frozenset({".safetensors", ".json", ".txt", ".md", ".model"})
_DIGEST = re.compile(r"[0-9a-f]{64}")


class RegisteredModel(Value):
    """A registered model.

    Attributes:
        name: what collections and commands call it.
        files: SHA-256 in hex by path, of all files that were copied.
        digest: fingerprint of the model as it was loaded with the settings of its registration.
        dimension: length of its vectors.
        max_tokens: tokens of a text that it reads.
    """

    name: str
    files: dict[str, str]
    digest: str
    dimension: int
    max_tokens: int

    @property
    def folder(self) -> str:
        """Name of the folder that holds the files: a digest over all of them."""
        return hashlib.sha256(json.dumps(sorted(self.files.items())).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class _Known:
    """What was read when the folder was last changed."""

    changed_ns: int
    models: Mapping[str, RegisteredModel]


class ModelRegistry:
    """The registered models of a folder.

    Args:
        directory: the folder; it need not exist.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._known = _Known(-1, {})

    def __reduce__(self) -> tuple[type[ModelRegistry], tuple[Path]]:
        """What a process of our own is given."""
        return type(self), (self.directory,)

    def models(self) -> Mapping[str, RegisteredModel]:
        """All registered models by name; read again when the folder has changed."""
        try:
            changed_ns = self.directory.stat().st_mtime_ns
        except OSError:
            return {}
        if changed_ns != self._known.changed_ns:
            read = (_read(path) for path in sorted(self.directory.glob(f"*{_RECORD}")))
            self._known = _Known(changed_ns, {one.name: one for one in read if one is not None})
        return self._known.models

    def source(self, name: str) -> ModelSource | None:
        """The files of a registered model, with the digests that they must have."""
        found = self.models().get(name)
        return None if found is None else _source(found, self.directory / found.folder)

    def copy(self, path: Path, name: str) -> ModelSource:
        """Check a model directory and copy its files; ``register`` gives them their name.

        Only weights in safetensors, settings and texts are copied: no pickled file, no code.

        Raises:
            ConfigurationError: the name is none, or another model has it.
            ModelError: it is no directory of a sentence-transformers model, lacks a tokenizer, has pickled weights
                only, asks for code of its own, or a file is not as ``training.json`` states.
        """
        if NAME.fullmatch(name) is None:
            raise ConfigurationError(f"model {name!r}: a name is 1 to 64 letters, digits, dots, dashes or underscores")
        if not path.is_dir():
            raise ModelError(f"{path} is not a directory")
        verify(path, ModelSource(name))
        refuse_code(path)
        files = _digests(path)
        _refuse_altered(path, files)
        self._refuse_taken(name, files)
        copied = RegisteredModel(name=name, files=files, digest="", dimension=0, max_tokens=0)
        make_directory(self.directory)
        target = self.directory / copied.folder
        if not target.is_dir():
            with whole_directory(target) as directory:
                for relative in files:
                    (directory / relative).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                    copy_file(path / relative, directory / relative)
        source = _source(copied, target)
        verify(target, source)
        return source

    def register(self, model: RegisteredModel) -> None:
        """Give files that were copied their name.

        Raises:
            ConfigurationError: another model has the name.
        """
        self._refuse_taken(model.name, model.files)
        if self.models().get(model.name) != model:
            path = self.directory / f"{model.name}{_RECORD}"
            path.unlink(missing_ok=True)
            with whole_file(path) as file:
                file.write_text(json.dumps(model.model_dump(mode="json"), indent=1) + "\n", encoding="utf-8")
        self._known = _Known(-1, {})

    def _refuse_taken(self, name: str, files: Mapping[str, str]) -> None:
        known = self.models().get(name)
        if known is not None and known.files != files:
            raise ConfigurationError(f"model {name!r} is registered with other files: choose another --name")


def _source(model: RegisteredModel, directory: Path) -> ModelSource:
    return ModelSource(model.name, directory=directory, sha256=model.files)


def _read(path: Path) -> RegisteredModel | None:
    try:
        return RegisteredModel.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None  # `recommender doctor` names it


def _refuse_altered(path: Path, files: Mapping[str, str]) -> None:
    """Compare the files with the digests that training has written beside them.

    Raises:
        ModelError: names the file that is altered.
    """
    manifest = path / "training.json"
    if not manifest.is_file():
        return
    try:
        stated = json.loads(manifest.read_bytes())["files"]
        stated = {str(name): str(digest) for name, digest in stated.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(f"{manifest} states no files") from error
    for name, digest in stated.items():
        if _DIGEST.fullmatch(digest) and files.get(name, digest) != digest:
            raise ModelError(f"{path / name}: expected SHA-256 {digest} ({manifest.name}), found {files[name]}")


def _digests(path: Path) -> dict[str, str]:
    """SHA-256 of each file that is copied, by its path inside the directory."""
    found = {}
    for file in sorted(path.rglob("*")):
        relative = file.relative_to(path)
        if file.is_file() and file.suffix in _TAKEN and not any(part.startswith(".") for part in relative.parts):
            with file.open("rb") as content:
                found[relative.as_posix()] = hashlib.file_digest(content, "sha256").hexdigest()
    return found
