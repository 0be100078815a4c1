"""Several passes at a time, each on its own thread; a library that keeps to itself."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recommender_engine.embedding import openvino_backend
from recommender_engine.embedding.backend import Loaded
from recommender_engine.embedding.openvino_backend import OpenVinoBackend
from recommender_engine.embedding.tokens import Inputs
from recommender_engine.errors import ModelError

# Not by importing it, which without care has the library report to its makers.
pytestmark = pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="needs the extra openvino")

ROOT = Path(__file__).parents[2]
THREADS = 2


class Request:
    """An inference that is done when somebody waits for it."""

    def __init__(self, compiled: Compiled) -> None:
        self._compiled = compiled
        self._rows: Any = None

    def start_async(self, inputs: Inputs) -> None:
        assert self._rows is None, "it is at work"
        self._rows = inputs["input_ids"]
        self._compiled.at_work += 1
        self._compiled.most = max(self._compiled.most, self._compiled.at_work)

    def wait(self) -> None:
        if self._rows is None:
            return
        self._compiled.at_work -= 1
        self.data, self._rows = self._rows[:, :, None].astype(np.float32), None
        if (self.data == self._compiled.fails_on).any():
            raise RuntimeError("no such instruction")

    def get_output_tensor(self, _: int) -> Request:
        return self


class Port:
    any_name = "input_ids"


class Compiled:
    """A compiled model that gives each token as its own embedding."""

    inputs = (Port(),)

    def __init__(self) -> None:
        self.at_work = self.most = 0
        self.fails_on = -1

    def create_infer_request(self) -> Request:
        return Request(self)


def pooling(features: dict[str, Any]) -> dict[str, Any]:
    return {"sentence_embedding": features["token_embeddings"].sum(dim=1)}


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Compiled:
    made = Compiled()
    monkeypatch.setattr(openvino_backend, "compiled_for", lambda threads, model: made)
    return made


def backend(converted: Any = object) -> OpenVinoBackend:
    return OpenVinoBackend("any", converted, Loaded([None, pooling], None, "", "cpu", THREADS, None))  # type: ignore[arg-type]


def passes(*firsts: int) -> list[Inputs]:
    rows = [np.array([[first, 1], [first, 2]], dtype=np.int64) for first in firsts]
    return [{"input_ids": one, "attention_mask": np.ones_like(one)} for one in rows]


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_passes_come_back_in_order(compiled: Compiled, count: int) -> None:
    found = backend().embed(passes(*range(10, 10 + count)))
    assert [rows.ravel().tolist() for rows in found] == [[10 + n + 1, 10 + n + 2] for n in range(count)]
    assert compiled.at_work == 0
    assert compiled.most == min(count, THREADS + 1), "one waits, so that no thread has to"


@pytest.mark.parametrize("fails_on", [10, 12, 15])
def test_after_a_failure_nothing_is_left_at_work(compiled: Compiled, fails_on: int) -> None:
    made = backend()
    compiled.fails_on = fails_on
    with pytest.raises(RuntimeError, match="no such instruction"):
        made.embed(passes(*range(10, 16)))
    assert compiled.at_work == 0
    compiled.fails_on = -1
    assert len(made.embed(passes(*range(20, 27)))) == 7


def test_a_model_that_cannot_be_converted_is_a_model_error(compiled: Compiled) -> None:
    def fail() -> None:
        raise TypeError("not this one")

    with pytest.raises(ModelError, match=r"cannot be converted for OpenVINO \(TypeError\)"):
        backend(fail)


def run(program: str, home: Path) -> str:
    environment = {**os.environ, "HOME": str(home), "OMP_WAIT_POLICY": "PASSIVE"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=150, check=True)
    return done.stdout


def test_the_library_sends_no_telemetry(tmp_path: Path) -> None:
    """Left alone it writes an id of this user into the home directory, and sends it with every import."""
    program = (
        "import socket, sys\n"
        "def refuse(*where, **_): print('reached for', where)\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from recommender_engine.embedding.openvino_model import load_openvino\n"
        "load_openvino().convert_model\n"
        "print(sys.modules['openvino_telemetry'], 'openvino.tools.ovc.telemetry_stub' in sys.modules)"
    )
    assert run(program, tmp_path) == "None True\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.model
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs processor affinity")
def test_a_process_that_may_use_one_processor_keeps_one_busy(tmp_path: Path) -> None:
    program = (
        "import os\n"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "import torch\n"
        "from recommender_engine.embedding import openvino_backend\n"
        "from recommender_engine.embedding.model_source import ALL_MINILM_L6_V2\n"
        "from recommender_engine.embedding.sentence_transformer import SentenceTransformerEncoder\n"
        "compiled, real = [], openvino_backend.compiled_for\n"
        "openvino_backend.compiled_for = lambda *given: compiled.append(real(*given)) or compiled[-1]\n"
        "encoder = SentenceTransformerEncoder(ALL_MINILM_L6_V2, backend='openvino-bfloat16')\n"
        "settings = 'INFERENCE_NUM_THREADS', 'NUM_STREAMS', 'ENABLE_CPU_PINNING'\n"
        "print(torch.get_num_threads(), *(compiled[0].get_property(name) for name in settings))"
    )
    assert run(program, tmp_path) == "1 1 1 False\n"
