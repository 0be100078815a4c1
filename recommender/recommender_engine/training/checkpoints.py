"""The folder of a run that is not finished: what it was started with, and checkpoints that are whole."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from recommender_engine.errors import ConfigurationError
from recommender_engine.files import make_directory, whole_file
from recommender_engine.items.values import Value
from recommender_engine.training.examples import Examples, Shape

_RUN, _EXAMPLES, _CHECKPOINTS, _STATE = "run.json", "examples.json", "checkpoints", "trainer_state.json"


class Started(Value):
    """What a run was started with, and what was chosen or measured at its start.

    Attributes:
        key: digest of settings, base and data; a run goes on only under the same.
        precision: number type that was chosen.
        before: figures of the base model by part.
    """

    key: str
    precision: str
    before: dict[str, float | None]


class RunFolder:
    """``OUT.training``, beside the directory that a run will write.

    Args:
        output: the directory to be written.
    """

    def __init__(self, output: Path) -> None:
        self._path = output.with_name(f"{output.name}.training")
        self.checkpoints = self._path / _CHECKPOINTS

    def started(self, key: str) -> tuple[Started, Examples] | None:
        """What an interrupted run was started with, and the examples as its loss takes them.

        Raises:
            ConfigurationError: it was started with other settings, base or data.
        """
        run, examples = self._path / _RUN, self._path / _EXAMPLES
        if not run.exists():
            return None
        found = Started.model_validate_json(run.read_bytes())
        if found.key != key:
            raise ConfigurationError(
                f"{self._path} holds a run that was interrupted and has other settings, data or base model: give those"
                " to go on with it, or remove the folder"
            )
        said = json.loads(examples.read_bytes())
        texts = tuple(map(tuple, said["texts"]))
        return found, Examples(Shape(said["shape"]), texts, tuple(said["targets"]), tuple(said["classes"]))

    def start(self, started: Started, examples: Examples) -> None:
        """Note what a run is started with."""
        make_directory(self._path)
        said = {
            "shape": examples.shape.value,
            "texts": examples.texts,
            "targets": examples.targets,
            "classes": examples.classes,
        }
        with whole_file(self._path / _EXAMPLES) as file:
            file.write_text(json.dumps(said))
        with whole_file(self._path / _RUN) as file:
            file.write_text(started.model_dump_json())

    def last(self) -> tuple[Path, dict[str, Any]] | None:
        """The last whole checkpoint with the state of its trainer; those that a kill left in part are removed.

        The state of the trainer is what a checkpoint writes last.
        """
        whole: list[tuple[int, Path, dict[str, Any]]] = []
        for path in self.checkpoints.glob("checkpoint-*"):
            try:
                state = json.loads((path / _STATE).read_bytes())
            except (OSError, ValueError):
                shutil.rmtree(path)
                continue
            whole.append((int(state["global_step"]), path, state))
        if not whole:
            return None
        _, path, state = max(whole, key=lambda one: one[0])
        return path, state

    def remove(self) -> None:
        """Remove the folder, once the run is finished."""
        shutil.rmtree(self._path, ignore_errors=True)
