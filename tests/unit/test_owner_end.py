"""An owner that ends before it has a state: those who wait for it get an error."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis import Redis

from celery_recommender.owner.owner import Owner
from celery_recommender.settings import Settings
from recommender_engine.errors import StateError
from tests.support.encoders import FixedEncoders
from tests.support.servers import free_port


@pytest.fixture
def owner(tmp_path: Path) -> Owner:
    (tmp_path / "state").write_text("a file where the directory of states should be")
    settings = Settings(state_dir=tmp_path, redis_url=f"redis://127.0.0.1:{free_port()}/0")
    return Owner(settings, FixedEncoders(), lambda: Redis(port=free_port()), len, lambda request: None)  # type: ignore[arg-type]


def test_questions_and_requests_for_a_backup_are_refused(owner: Owner) -> None:
    answer, backup = owner.ask(lambda engine: engine.position), owner.back_up()
    owner.start()
    owner.join(30)
    assert not owner.is_alive()
    with pytest.raises(RuntimeError, match="shutting down"):
        answer.result(0)
    for one in (backup, owner.back_up()):
        with pytest.raises(StateError, match="shutting down"):
            one.result(0)
