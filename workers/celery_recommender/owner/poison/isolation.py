"""At the start, after processes have ended over a batch: finds the messages that are the cause and quarantines them."""

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
from recommender_engine.items import CollectionCommand, CollectionSettings, EntryId
from recommender_engine.opening import DATABASE

log = event_log(__name__)

Raw = tuple[EntryId, Fields]

_PATIENCE = 10  # in a trial the model is loaded already, and nothing else is done
_READ_PER_S = 20_000_000  # bytes of a state that is opened
_LEAST_START_S, _LEAST_PART_S = 120.0, 2.0  # however little time a batch is given


class PoisonIsolation:
    """Finds and quarantines messages that end the process.

    Args:
        settings: after how many deaths a batch is searched, and when one hangs.
        encoders: the embedding models.
        commands: the log.
        quarantine: where they are noted.
    """

    def __init__(self, settings: Settings, encoders: Encoders, commands: CommandsLog, quarantine: Quarantine) -> None:
        self._settings = settings
        self._encoders = encoders
        self._commands = commands
        self._quarantine = quarantine
        self._directory = settings.partition_dir / "examination"

    def bisect_batch(self, engine: Recommender, in_hand: BatchInHand) -> dict[EntryId, str]:
        """Search the batch over which processes have ended, if there is one.

        Returns:
            All commands in quarantine, found now or earlier, with the reasons.
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
        found = self._quarantine_found(engine, suspicion, known)
        in_hand.clear()
        return {**known, **found}

    def _quarantine_found(
        self, engine: Recommender, suspicion: CrashRecord, known: dict[EntryId, str]
    ) -> dict[EntryId, str]:
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
        """On a copy of the state; where there is no room for one, or it does not work, on an empty state."""
        setup = TrialSetup(
            self._encoders,
            self._settings_of(engine, batch),
            self._commands.proofs.secrets,
            batch,
            self._settings.partition,
            self._settings.max_collections,
            message_rules=self._settings.message_rules,
        )
        with copied(engine, self._directory) as copy:
            for state in (copy, None) if copy is not None else (None,):
                try:
                    return self._bisection(replace(setup, state=state)).find()
                except Inconclusive as error:
                    log.error("owner.examination_inconclusive", extra={"error": str(error), "copy": state is not None})
        return {}

    def _bisection(self, setup: TrialSetup) -> Bisection:
        hang_after_s = self._settings.hang_after_s
        size = 0 if setup.state is None else (setup.state / DATABASE).stat().st_size
        return Bisection(
            setup,
            max(hang_after_s, _LEAST_START_S) + size / _READ_PER_S,
            lambda messages: max(limit_s(hang_after_s, _PATIENCE * messages) / _PATIENCE, _LEAST_PART_S),
        )

    def _settings_of(self, engine: Recommender, batch: Sequence[Raw]) -> dict[str, CollectionSettings]:
        """Settings of the collections of the batch."""
        commands = [decode(id_, fields, id_.ms).command for id_, fields in batch]
        names = {command.collection for command in commands if isinstance(command, CollectionCommand)}
        settings = engine.settings()
        return {name: settings.get(name, CollectionSettings()) for name in sorted(names)}


@contextmanager
def copied(engine: Recommender, directory: Path) -> Iterator[Path | None]:
    """A copy of the state for the length of a block, indexes included; ``None`` where there is no room for it."""
    copy: Path | None = directory
    try:
        try:
            _copy(engine, directory)
        except (OSError, StateError) as error:
            log.warning("owner.examines_without_state", extra={"error": str(error)})
            copy = None
        yield copy
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
