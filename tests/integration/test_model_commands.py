"""``recommender model``: a model is registered, proposed, promoted, taken back and dropped while a worker runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from celery_recommender.client import Client
from celery_recommender.settings import Settings
from tests.integration.conftest import Owners
from tests.support.command_line import call
from tests.support.processes import REAL_MODEL_APP
from tests.support.tiny_models import phrases, tiny_model
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.server, pytest.mark.parametrize("server", ["embedded"], indirect=True)]


def test_the_way_there_and_the_way_back(
    settings: Settings, client: Client, owner_process: Owners, tmp_path: Path
) -> None:
    """`promote` goes to the proposed model only, and `rollback` to that of before the switch only."""
    live, other = tiny_model(tmp_path / "live"), tiny_model(tmp_path / "other", normalised=False)
    changes = {"models": (f"live={live}",), "encoder": "torch-float32"}
    owner = owner_process(app=REAL_MODEL_APP, changes=changes).running()
    here = settings.replaced(**changes)

    def model(*arguments: str, status: int = 0) -> str:
        done = call(here, "model", *arguments)
        assert done.returncode == status, done.stdout + done.stderr
        return " ".join((done.stdout + done.stderr).split())

    def second() -> dict[str, Any] | None:
        found: dict[str, Any] | None = json.loads(model("status", "--json"))["default"]["second_model"]
        return found

    client.outcome(client.configure("default", {"model": "live"}))
    for n, text in enumerate(phrases(8)):
        client.outcome(client.ingest({"id": f"i{n}", "text": text}))
    model("add", str(other), "--name", "other")
    for command in ("promote", "rollback", "drop"):
        assert "'default' has no second model" in model(command, status=1)
    model("propose", "other")
    wait_until(lambda: (second() or {})["left"] == 0, "the items to be embedded by the second model")
    assert "there is no way back: other@" in model("rollback", status=1)
    assert "other is the model of 'default': the second one is live@" in model("promote")
    assert "was the model of 'default' before the last switch" in model("promote", status=1)
    assert "live is the model of 'default': the second one is other@" in model("rollback")
    assert "there is no way back" in model("rollback", status=1)
    assert "other is the model of" in model("promote")
    assert "live is no longer the second model" in model("drop")
    assert second() is None
    assert "'default' has no second model" in model("report", status=1)
    assert owner.terminate() == 0
    assert "Traceback" not in owner.output, "a caller's mistake is told to the caller"
