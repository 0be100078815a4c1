"""The probes of an embed worker, through its command: the model and Celery's loop are replaced, the port is real."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from celery import signals
from celery.worker import state
from click.testing import CliRunner

from celery_recommender.cli import main
from celery_recommender.cli.run import embed_worker as module
from celery_recommender.settings import Settings
from tests.support.servers import free_port
from tests.support.waiting import wait_until


def test_probes_tell_starting_embedding_and_stopping(monkeypatch: pytest.MonkeyPatch) -> None:
    port, seen = free_port(), {}

    def ask(moment: str) -> None:
        answers: dict[str, Any] = {}
        for path in ("livez", "readyz"):
            answer = httpx.get(f"http://127.0.0.1:{port}/{path}")
            answers[path] = answer.status_code, json.loads(answer.text)["state"]
        seen[moment] = answers

    def answers() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/metrics").status_code == 200
        except httpx.TransportError:
            return False

    def load(model: str) -> None:
        wait_until(answers, "the probes")
        ask("loading")

    def serve(*args: object, **options: object) -> int:
        signals.worker_ready.send(sender=None)
        ask("consuming")
        monkeypatch.setattr(state, "should_stop", 0)
        ask("stopped")
        return 0

    plugin = SimpleNamespace(encoders=SimpleNamespace(encoder=load))
    monkeypatch.setattr(module, "make_embed_app", lambda settings: (None, plugin))
    monkeypatch.setattr(module, "serve", serve)
    settings = Settings(redis_url="redis://127.0.0.1:1/0", embed_metrics_port=port)
    done = CliRunner().invoke(main, ["embed-worker"], env=settings.to_environment(), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert seen == {
        "loading": {"livez": (200, "starting"), "readyz": (503, "starting")},
        "consuming": {"livez": (200, "embedding"), "readyz": (200, "embedding")},
        "stopped": {"livez": (200, "stopping"), "readyz": (503, "stopping")},
    }
    assert not answers()
