"""What is done at the start when processes have died over a batch: find the message, set it aside."""

from __future__ import annotations

from collections.abc import Sequence

from recommender import Recommender
from recommender.embedding import Encoders
from recommender.event_log import event_log
from recommender.items import CollectionSettings, EntryId
from workers.broker.commands_log import CommandsLog, decode
from workers.broker.quarantine import Quarantine
from workers.owner.examination import Examiner, Inconclusive, Raw
from workers.owner.in_hand import BatchInHand, Suspicion
from workers.owner.watchdog import limit_s
from workers.settings import Settings

log = event_log(__name__)

_PATIENCE = 10  # in a rehearsal the model is loaded already, and nothing else is done
_LEAST_START_S, _LEAST_PART_S = 120.0, 2.0  # however little time a batch is given


class Suspects:
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

    def examine(self, engine: Recommender, in_hand: BatchInHand) -> dict[EntryId, str]:
        """Search what is suspected, if anything is.

        Returns:
            All commands that are set aside, now and earlier, with the reasons.
        """
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

    def _culprits(self, engine: Recommender, suspicion: Suspicion, known: dict[EntryId, str]) -> dict[EntryId, str]:
        batch = [
            (id_, fields) for id_, fields in self._commands.between(engine.position, suspicion.last) if id_ not in known
        ]
        log.warning("owner.examines", extra={"commands": len(batch)})
        try:
            found = self._examiner(engine, batch).culprits(batch)
        except Inconclusive as error:
            log.error("owner.examination_inconclusive", extra={"error": str(error)})
            return {}
        for position, reason in found.items():
            self._quarantine.add(position, reason)
            log.error("owner.quarantined", extra={"command": str(position), "reason": reason})
        if not found:
            log.warning("owner.no_culprit", extra={"commands": len(batch)})
        return found

    def _examiner(self, engine: Recommender, batch: Sequence[Raw]) -> Examiner:
        hang_after_s = self._settings.hang_after_s
        return Examiner(
            self._encoders,
            self._settings_of(engine, batch),
            self._commands.proofs.secrets,
            max(hang_after_s, _LEAST_START_S),
            lambda messages: max(limit_s(hang_after_s, _PATIENCE * messages) / _PATIENCE, _LEAST_PART_S),
        )

    def _settings_of(self, engine: Recommender, batch: Sequence[Raw]) -> dict[str, CollectionSettings]:
        """Settings of the collections that the batch speaks of."""
        names = {getattr(decode(id_, fields, id_.ms).command, "collection", None) for id_, fields in batch}
        settings = engine.settings()
        return {name: settings.get(name, CollectionSettings()) for name in sorted(filter(None, names))}
