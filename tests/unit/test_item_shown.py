"""``recommender get``: what was sent, what of it is compared, and which rule cut the rest."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from celery_recommender.cli import asking
from celery_recommender.cli.verdicts.questions import get
from recommender_engine import open_recommender
from tests.support.engine import Log, Models


def test_get_shows_what_is_compared_and_which_rule_cut_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log()
    with closing(open_recommender(tmp_path / "state" / "default", Models())) as engine:
        engine.process([log.upsert("a", "Re: the lamp flickers\n\nSent from my iPhone"), log.upsert("b", "the lamp")])
    monkeypatch.setenv("RECOMMENDER_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(asking, "catalogue", lambda settings: Models())
    monkeypatch.setattr(asking, "owner_is_at_work", lambda settings: False)
    shown = CliRunner().invoke(get, ["a"]).output
    assert "compared: the lamp flickers" in shown
    assert "subject_prefixes: Re:" in shown
    assert "signatures: Sent from my iPhone" in shown
    assert "compared" not in CliRunner().invoke(get, ["b"]).output
