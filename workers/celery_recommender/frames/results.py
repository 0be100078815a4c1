"""What ``dedupe`` found in a frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from celery_recommender.frames.columns import added_cells, why
from celery_recommender.frames.deciding import Judged, Sent, judged
from celery_recommender.frames.labels import Labels
from celery_recommender.frames.libraries import Added, Cells, Frame, frame_of
from celery_recommender.replaying import Seen, replayed
from celery_recommender.report.page import in_short, page
from celery_recommender.report.summary import MOST_PAIRS, Summary, summarise
from celery_recommender.texts import compared_text
from recommender_engine.errors import ConfigurationError
from recommender_engine.items import ConfigureCollection
from recommender_engine.items.commands import validate

BANDS = ("duplicate", "review", "similar", "new")
_WITH_A_MATCH = BANDS[:2]
_NUMBERS = ("probability", "similarity", "novelty")
_IDS = ("duplicate_of", "canonical_id", "matched_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One frame that was decided, whatever the settings.

    Attributes:
        frame: as it was given.
        labels: of its rows, by ids of items.
        notes: how its columns are read.
        prefix: of the names of added columns.
        similar: how many similar items each row gets.
        seen: the whole collection for another run; ``None`` where it holds no item.
    """

    frame: Frame
    labels: Labels
    notes: Sequence[str]
    prefix: str
    similar: int
    seen: Seen | None


class Deduplicated:
    """A frame with a verdict on each row.

    Attributes:
        frame: the frame that was given, with the columns ``band``, ``duplicate_of``, ``group``, ``canonical_id``,
            ``matched_id``, ``probability``, ``similarity``, ``reason``, ``similar_ids``, ``novelty`` and ``error``.
        bands: rows by band.
    """

    def __init__(self, run: Run, rows: Sequence[Judged], others: Mapping[str, str]) -> None:
        self._run = run
        self._rows = rows
        self._others = others
        self.frame = run.frame.with_columns({run.prefix + name: one for name, one in self._added().items()})
        found = Counter(row.view["band"] for row in rows if row.view is not None)
        self.bands = {band: found[band] for band in BANDS}

    @property
    def duplicates(self) -> Any:
        """The rows that repeat an earlier one."""
        return self._picked(lambda row: row.view is not None and row.view["band"] == "duplicate")

    @property
    def unique(self) -> Any:
        """One row of each group: the canonical one; rows without a verdict stay."""
        return self._picked(lambda row: row.view is None or row.view["canonical_id"] == row.view["item_id"])

    @property
    def pairs(self) -> Any:
        """Each duplicate, and each row that wants a look, beside its closest match; the most probable first."""
        rows = [row.view for row in self._rows if row.view is not None and row.view["band"] in _WITH_A_MATCH]
        rows.sort(key=lambda view: -view["probability"])
        texts = self._texts()
        labels = self._run.labels
        return self._run.frame.made(
            {
                "item_id": labels.column([view["item_id"] for view in rows]),
                "matched_id": labels.column([view["matched_id"] for view in rows]),
                "band": Added([view["band"] for view in rows], Cells.TEXT),
                "probability": Added([view["probability"] for view in rows], Cells.NUMBER),
                "text": Added([compared_text(view) for view in rows], Cells.TEXT),
                "matched_text": Added([texts.get(view["matched_id"]) for view in rows], Cells.TEXT),
                "reason": Added([why(view) or None for view in rows], Cells.TEXT),
            }
        )

    def again(self, **settings: Any) -> Deduplicated:
        """The same rows under other settings of the collection, decided again; nothing is embedded or stored.

        Args:
            settings: those that change, like ``target_precision=0.9`` or ``review_budget=0.3``.

        Raises:
            InvalidCommand: there is no such setting, or its value is refused.
            ConfigurationError: the model would be another one: the vectors are those of this one.
        """
        seen = self._run.seen
        if seen is None:
            return self
        wanted = {**seen.settings.model_dump(mode="json"), **settings}
        changed = validate(ConfigureCollection, {"collection": seen.collection, "settings": wanted}).settings
        if changed.model != seen.settings.model:
            raise ConfigurationError(f"model: the recorded vectors are those of {seen.settings.model!r}")
        sent: list[Sent] = [row.sent for row in self._rows]
        with replayed(seen, changed, lambda count: None) as (engine, _):
            rows = judged(engine, sent, seen.collection, self._run.similar)
            return Deduplicated(self._run, rows, self._others)

    def report(self, path: str | Path | None = None, *, title: str = "data frame", most_pairs: int = MOST_PAIRS) -> str:
        """The verdicts as one HTML page that loads nothing: histogram, group sizes, groups, pairs with reasons.

        Args:
            path: a file to write it to.
            title: what the rows are.
            most_pairs: how many pairs are shown at most.

        Returns:
            The page.
        """
        made = page(self.summary(title, most_pairs))
        if path is not None:
            Path(path).write_text(made, encoding="utf-8")
        return made

    def summary(self, title: str, most_pairs: int = MOST_PAIRS) -> Summary:
        """What the report shows, as values."""
        views = (row.view for row in self._rows if row.view is not None)
        return summarise(views, title, self._others, most_pairs)

    def __repr__(self) -> str:
        bands = ", ".join(f"{count} {band}" for band, count in self.bands.items())
        return f"<Deduplicated: {len(self._rows)} rows: {bands}>"

    def _repr_html_(self) -> str:
        """For notebooks."""
        groups = Counter(row.view["group"] for row in self._rows if row.view is not None)
        return in_short(
            rows=len(self._rows),
            bands=self.bands,
            groups=sum(count > 1 for count in groups.values()),
            failed=sum(row.view is None for row in self._rows),
            notes=self._run.notes,
        )

    def _picked(self, wanted: Callable[[Judged], bool]) -> Any:
        return frame_of(self.frame).picked([at for at, row in enumerate(self._rows) if wanted(row)])

    def _texts(self) -> dict[str, str]:
        own = {row.view["item_id"]: compared_text(row.view) for row in self._rows if row.view is not None}
        return {**self._others, **own}

    def _added(self) -> dict[str, Added]:
        labels = self._run.labels
        cells = [
            added_cells(
                view=row.view,
                similar=[id_ for id_, _ in row.similar],
                novelty=row.sent.novelty,
                error=row.sent.error,
            )
            for row in self._rows
        ]
        columns: dict[str, Added] = {}
        for name in added_cells():
            values = [one[name] for one in cells]
            if name in _IDS:
                columns[name] = labels.column(values)
            elif name == "similar_ids":
                columns[name] = labels.lists(values)
            else:
                columns[name] = Added(values, Cells.NUMBER if name in _NUMBERS else Cells.TEXT)
        return columns
