"""Questions of `recommender move` to an owner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from celery_recommender.celery.tasks.questions import QuestionTask


class MoveQuestion(QuestionTask):
    """A question to one partition, wherever the collection is."""

    abstract = True

    def about(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str | None:
        """None: it goes where it is sent."""
        return None


class MoveStatus(MoveQuestion):
    """The state of a moving or moved collection in this partition."""

    name = "recommender.move_status"

    def run(self, collection: str) -> dict[str, Any]:
        """``place``, ``move``, ``source``, ``target``, ``page``, ``items``, ``waiting``, ``arrivals``, ``points``."""
        found: dict[str, Any] = self.ask(lambda engine: engine.moving.status(collection))
        return found


class MovePageTask(MoveQuestion):
    """A page of a collection that is leaving this partition."""

    name = "recommender.move_page"

    def run(self, collection: str, page: str) -> dict[str, Any]:
        """``data`` (JSON), its ``sha256``, how many ``items`` are in it, and the name of the ``next`` page."""
        found: dict[str, Any] = self.ask(lambda engine: engine.moving.page(collection, page)).model_dump(mode="json")
        return found


MOVING: tuple[type[QuestionTask], ...] = (MoveStatus, MovePageTask)
