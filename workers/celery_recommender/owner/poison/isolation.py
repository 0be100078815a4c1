"""What is done at the start when processes have died over a batch: find the message, set it aside."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from celery_recommender.broker.commands.log import CommandsLog, decode
from celery_recommender.broker.coordination.quarantine import Quarantine
from celery_recommender.broker.redis.ranges import Fields
from celery_recommender.owner.poison.bisection import Bisection, Inconclusive
from celery_recommender.owner.poison.in_hand import BatchInHand, CrashRecord
from celery_recommender.owner.poison.isolated_run import TrialSetup
from celery_recommender.owner.poison.watchdog import limit_s
from celery_recommender.settings import Settings
from recommender_engine import Recommender
from recommender_engine.embedding import Encoders
from recommender_engine.errors import StateError
from recommender_engine.event_log import event_log
from recommender_engine.files import require_room
from recommender_engine.items import CollectionSettings, EntryId
from recommender_engine.opening import DATABASE

log = event_log(__name__)

Raw = tuple[EntryId, Fields]

_PATIENCE = 10  # in a rehearsal the model is loaded already, and nothing else is done
_READ_PER_S = 20_000_000  # bytes of a state that is opened
_LEAST_START_S, _LEAST_PART_S = 120.0, 2.0  # however little time a batch is given


class PoisonIsolation:
    """Looks after messages that end the process.

    Args:
        settings: how many deaths make a suspicion, and when a batch hangs.
        encoders: the embedding models.
        commands: the log.
        quarantine: where culprits are set aside.
    """

    def __init__(self, settings: Settings, encoders: Encoders, commands: CommandsLog, quarantine: Quarantine) -> None:
        self._settings = settings
        self._encoders = encoders
        self._commands = commands
        self._quarantine = quarantine
        self._directory = settings.partition_dir / "examination"

    def bisect_batch(self, engine: Recommender, in_hand: BatchInHand) -> dict[EntryId, str]:
        """Search what is suspected, if anything is.

        Returns:
            All commands that are set aside, now and earlier, with the reasons.
        """
        shutil.rmtree(self._directory, ignore_errors=True)  # of a search that was killed
        known = self._quarantine.read()
        suspicion = in_hand.suspicion(engine.position)
        if suspicion is None:
            return known
        log.warning(
            "owner.died_in_hand",
            extra={"after": str(engine.position), "last": str(suspicion.last), "deaths": suspicion.deaths},
        )
        if suspicion.deaths < self._settings.suspect_after:
            return known
        found = self._culprits(engine, suspicion, known)
        in_hand.clear()
        return {**known, **found}

    def _culprits(self, engine: Recommender, suspicion: CrashRecord, known: dict[EntryId, str]) -> dict[EntryId, str]:
        batch = [
            (id_, fields) for id_, fields in self._commands.between(engine.position, suspicion.last) if id_ not in known
        ]
        log.warning("owner.examines", extra={"commands": len(batch)})
        found = self._searched(engine, batch)
        for position, reason in found.items():
            self._quarantine.add(position, reason)
            log.error("owner.quarantined", extra={"command": str(position), "reason": reason})
        if not found:
            log.warning("owner.no_culprit", extra={"commands": len(batch)})
        return found

    def _searched(self, engine: Recommender, batch: Sequence[Raw]) -> dict[EntryId, str]:
        """Beside a copy of what is stored; where that cannot be had, or does not work, beside nothing."""
        ground = TrialSetup(
            self._encoders,
            self._settings_of(engine, batch),
            self._commands.proofs.secrets,
            batch,
            self._settings.partition,
            self._settings.max_collections,
            message_rules=self._settings.message_rules,
        )
        with copied(engine, self._directory) as state:
            for place in (state, None) if state is not None else (None,):
                try:
                    return self._bisection(replace(ground, state=place)).culprits()
                except Inconclusive as error:
                    log.error("owner.examination_inconclusive", extra={"error": str(error), "copy": place is not None})
        return {}

    def _bisection(self, ground: TrialSetup) -> Bisection:
        hang_after_s = self._settings.hang_after_s
        size = 0 if ground.state is None else (ground.state / DATABASE).stat().st_size
        return Bisection(
            ground,
            max(hang_after_s, _LEAST_START_S) + size / _READ_PER_S,
            lambda messages: max(limit_s(hang_after_s, _PATIENCE * messages) / _PATIENCE, _LEAST_PART_S),
        )

    def _settings_of(self, engine: Recommender, batch: Sequence[Raw]) -> dict[str, CollectionSettings]:
        """Settings of the collections that the batch speaks of."""
        names = {getattr(decode(id_, fields, id_.ms).command, "collection", None) for id_, fields in batch}
        settings = engine.settings()
        return {name: settings.get(name, CollectionSettings()) for name in sorted(filter(None, names))}


@contextmanager
def copied(engine: Recommender, directory: Path) -> Iterator[Path | None]:
    """A copy of the state for the length of a block, indexes included; ``None`` where there is no room for it."""
    place: Path | None = directory
    try:
        try:
            _copy(engine, directory)
        except (OSError, StateError) as error:
            log.warning("owner.examines_without_state", extra={"error": str(error)})
            place = None
        yield place
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _copy(engine: Recommender, directory: Path) -> None:
    directory.mkdir(mode=0o700)
    database = engine.begin_copy()
    try:
        require_room(directory, database.size_bytes)
        with (directory / DATABASE).open("wb") as file:
            for chunk in database.chunks():
                file.write(chunk)
    finally:
        engine.end_copy()
    index = directory.parent / "index"
    if index.exists():  # files that are never changed, only replaced
        shutil.copytree(index, directory / "index", copy_function=os.link)
