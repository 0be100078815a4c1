"""Find the files of a model, and check them before anything loads them.

Only weights in the safetensors format are accepted: a pickled file runs code when it is read.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from recommender_engine.embedding.model_source import ModelSource
from recommender_engine.errors import ModelError

_MODULES = "modules.json"
_TOKENIZER = "tokenizer.json"
_PACKAGE_FOLDER = "model"
_OWN_CODE = "sentence_transformers."
_PICKLED = frozenset({".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth"})
_WITH_CODE = ("config.json", "tokenizer_config.json")
_DOWNLOADED = ["*.safetensors", "*.json", "*.txt"]


def find(source: ModelSource) -> Path | None:
    """The folder that holds the model's files on this machine, or ``None``; never uses the network.

    Looks at the explicit directory and nowhere else if there is one; otherwise at the installed package, of which
    no code is run, then at the local hub cache at the pinned revision.

    Raises:
        ModelError: the explicit directory does not exist.
    """
    if source.directory is not None:
        if not source.directory.is_dir():
            raise ModelError(f"model {source.name!r}: {source.directory} is not a directory")
        return source.directory
    return _in_package(source) or _in_hub_cache(source)


def locate(source: ModelSource) -> Path:
    """The folder that holds the model's files, downloaded from the hub where they are on this machine nowhere.

    The download is the engine's only use of the network and belongs into set-up. It takes the pinned revision, leaves
    pickled weights and code behind, and obeys the hub client's own settings, such as its offline mode.

    Raises:
        ModelError: the files cannot be found or downloaded.
    """
    return find(source) or _download(source)


def verify(directory: Path, source: ModelSource) -> dict[str, str]:
    """Check that ``directory`` holds a loadable model and, where checksums are expected, exactly that one.

    Returns:
        SHA-256 in hex by path inside the folder, for each file that makes the model what it is: all weights, the
        tokenizer, the settings of pooling and later modules.

    Raises:
        ModelError: a file is missing, unreadable or altered (the message names it, what was expected and what was
            found), the weights are pickled, or the model brings code of its own.
    """
    digests = {path.relative_to(directory).as_posix(): _sha256(path) for path in _identity_files(directory)}
    for name, expected in source.sha256.items():
        path = directory / name
        found = digests.get(name) or (_sha256(path) if path.is_file() else "no such file")
        if found != expected:
            raise ModelError(f"model {source.name!r}: {directory / name}: expected SHA-256 {expected}, found {found}")
    return digests


def refuse_code(directory: Path) -> None:
    """Refuse a model that works with ``trust_remote_code`` only.

    Raises:
        ModelError: names the file.
    """
    for file in (one for name in _WITH_CODE for one in directory.rglob(name)):
        try:
            settings = json.loads(file.read_bytes())
        except ValueError as error:
            raise ModelError(f"{file} is not JSON") from error
        if isinstance(settings, dict) and settings.get("auto_map"):
            raise ModelError(
                f"{file} has auto_map: the model needs trust_remote_code, and code of a model is never run"
            )


def fingerprint_of(digests: Mapping[str, str], max_tokens: int, *changes: str) -> str:
    """Over weights, tokenizer, pooling, length and what is done to them, so the same wherever the files came from.

    Args:
        digests: as `verify` returns them.
        max_tokens: of a text that are read.
        changes: what makes another model of it.
    """
    return hashlib.sha256(json.dumps([sorted(digests.items()), max_tokens, *changes]).encode()).hexdigest()[:16]


def _in_package(source: ModelSource) -> Path | None:
    # For a top-level name find_spec reads the import path and runs nothing of the package.
    spec = importlib.util.find_spec(source.package) if source.package else None
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(folder) / _PACKAGE_FOLDER).is_dir():
            return Path(folder) / _PACKAGE_FOLDER
    return None


def _in_hub_cache(source: ModelSource) -> Path | None:
    if source.repository is None:
        return None
    # Imported here and below because most installations have the files at hand and never need the hub client.
    from huggingface_hub import try_to_load_from_cache

    modules = try_to_load_from_cache(source.repository, _MODULES, revision=source.revision)
    if not isinstance(modules, str):
        return None
    snapshot = Path(modules).parent
    return snapshot if _is_complete(snapshot) else None


def _is_complete(snapshot: Path) -> bool:
    """Whether a snapshot is complete: an interrupted download leaves part of one."""
    try:
        return all(path.is_file() for path in _identity_files(snapshot))
    except ModelError:
        return False


def _download(source: ModelSource) -> Path:
    if source.repository is None or source.revision is None:
        raise ModelError(f"model {source.name!r}: its files are not on this machine and no hub repository is declared")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(source.repository, revision=source.revision, allow_patterns=_DOWNLOADED))
    except Exception as error:  # the hub client raises its own, its HTTP library's and the system's errors
        raise ModelError(
            f"model {source.name!r}: {source.repository}@{source.revision} is not on this machine and cannot be "
            f"downloaded; install a package that carries it or declare {source.name}=/path ({error})"
        ) from error


def _identity_files(directory: Path) -> Iterator[Path]:
    """Weights, tokenizer and module settings; the first module is the transformer, with the tokenizer."""
    transformer, *others = _module_folders(directory)
    yield from _weights(transformer, required=True)
    yield transformer / _TOKENIZER
    for folder in others:
        yield from _weights(folder, required=False)
        if (folder / "config.json").is_file():
            yield folder / "config.json"


def _weights(folder: Path, *, required: bool) -> list[Path]:
    weights = sorted(folder.glob("*.safetensors"))
    if weights:
        return weights
    if any(path.suffix in _PICKLED for path in folder.glob("*")):
        raise ModelError(f"{folder} holds pickled weights only; convert them to safetensors")
    if required:
        raise ModelError(f"{folder} holds no weights (*.safetensors)")
    return []


def _module_folders(directory: Path) -> list[Path]:
    path = directory / _MODULES
    try:
        modules = [(str(module["type"]), directory / module["path"]) for module in json.loads(path.read_bytes())]
    except FileNotFoundError:
        raise ModelError(f"{path} is missing: not the folder of a sentence-transformers model") from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{path} is not a list of modules with type and path") from error
    if not modules:
        raise ModelError(f"{path} names no module")
    for kind, folder in modules:
        # Some releases of sentence-transformers import such a class from a local folder without being asked to.
        if not kind.startswith(_OWN_CODE):
            raise ModelError(f"{path} asks for {kind!r}: a model must not bring code of its own")
        if not folder.resolve().is_relative_to(directory.resolve()):
            raise ModelError(f"{path} leads out of its folder")
    return [folder for _, folder in modules]


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise ModelError(f"{path} is missing") from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror})") from error
