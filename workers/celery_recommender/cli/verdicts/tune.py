"""``recommender tune``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from celery_recommender.cli.asking import owner_or_state
from celery_recommender.cli.common import (
    BAND_STYLES,
    json_option,
    load_settings,
    out,
    print_json,
    printable,
    progress_bar,
)
from celery_recommender.cli.input.policies import read_policies, settings_of, with_words, words_option
from celery_recommender.cli.input.stored import changed_settings, gathered
from celery_recommender.cli.locating import located
from celery_recommender.cli.output.measured import told_of_closed
from celery_recommender.replaying import Replayed, Seen, commands, replay
from recommender_engine.items import Band, CollectionSettings, ItemProcessed, ItemRevised

Said = Mapping[str, ItemProcessed | ItemRevised]

_SHOWN = 40


@click.command()
@click.argument("collection")
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Settings from a TOML file, as for `configure`.",
)
@words_option
@click.option(
    "--last", default=1000, show_default=True, type=click.IntRange(1), help="Number of newest items to replay."
)
@json_option
def tune(
    collection: str,
    settings: tuple[str, ...],
    file: Path | None,
    word_files: tuple[Path, ...],
    last: int,
    *,
    as_json: bool,
) -> None:
    """Show which verdicts of COLLECTION other settings would change.

    The stored items are decided twice, in memory, in order and at the times of their arrival, with their recorded
    vectors and people's answers: under the current settings, and with the KEY=VALUEs changed. Nothing is stored or
    published. To switch, give `recommender configure` all settings that differ from the defaults.

    \b
    recommender tune tickets target_precision=0.9
    recommender tune tickets equal=requester window_seconds=604800 --last 5000
    recommender tune products --words ours.toml
    """
    changes = with_words(_changes(collection, settings, file, more=bool(word_files)), word_files)
    with progress_bar() as bar, owner_or_state(located(load_settings(), collection)) as ask:
        fetching = bar.add_task("fetched", total=None)
        seen = gathered(ask, collection, last, lambda count, total: bar.update(fetching, advance=count, total=total))
        wanted = changed_settings(seen, changes, all_named=file is not None)
        sides = []
        for name, side in (("as now", seen.settings), ("changed", wanted)):
            task = bar.add_task(name, total=commands(seen))
            advance = partial(bar.advance, task)
            sides.append(replay(seen, side, advance, message_rules=load_settings().message_rules))
    now, then = sides
    if as_json:
        print_json(summary(seen, wanted, now, then))
    else:
        show(seen, now, then)


def _changes(collection: str, pairs: tuple[str, ...], file: Path | None, *, more: bool) -> dict[str, Any]:
    if file is not None:
        if pairs:
            raise click.UsageError("give the settings as KEY=VALUE or with --file, not both")
        return read_policies(file, collection)[collection]
    if not pairs and not more:
        raise click.UsageError("say what to change: KEY=VALUE …, --file or --words")
    return settings_of(pairs)


def _plain(settings: CollectionSettings) -> dict[str, Any]:
    return settings.model_dump(mode="json")


def summary(seen: Seen, wanted: CollectionSettings, now: Replayed, then: Replayed) -> dict[str, Any]:
    """The changes, for programs."""
    before, after = _plain(seen.settings), _plain(wanted)
    gained, lost = flags(now.said, then.said)
    return {
        "collection": seen.collection,
        "items": len(seen.items),
        "answers": len(seen.answers),
        "settings": {name: {"now": before[name], "then": after[name]} for name in after if before[name] != after[name]},
        "bands": {"now": _bands(now.said), "then": _bands(then.said)},
        "flags_gained": gained,
        "flags_lost": lost,
        "not_measured": {"now": now.closed, "then": then.closed},
        "changes": [
            {"id": id_, "now": _verdict(now.said[id_]), "then": _verdict(then.said[id_])}
            for id_ in differing(seen, now.said, then.said)
        ],
    }


def differing(seen: Seen, now: Said, then: Said) -> list[str]:
    """Ids of the items of which something else would be said, in order of arrival."""

    def verdict_of(said: ItemProcessed | ItemRevised) -> tuple[Band, str | None]:
        return said.band, said.duplicate_of

    return [item["id"] for item in seen.items if verdict_of(now[item["id"]]) != verdict_of(then[item["id"]])]


def flags(now: Said, then: Said) -> tuple[int, int]:
    """How many items would be flagged as duplicates that are not now, and the other way round."""
    flagged, flagged_then = ({id_ for id_, one in said.items() if one.band is Band.DUPLICATE} for said in (now, then))
    return len(flagged_then - flagged), len(flagged - flagged_then)


def _bands(said: Said) -> dict[str, int]:
    found = Counter(one.band for one in said.values())
    return {band.value: found[band] for band in Band}


def _verdict(said: ItemProcessed | ItemRevised) -> dict[str, Any]:
    keys = ("band", "duplicate_of", "matched_id", "probability", "explanation")
    return {key: value for key, value in said.model_dump(mode="json").items() if key in keys}


def show(seen: Seen, now: Replayed, then: Replayed) -> None:
    """The changes, for people."""
    changed = differing(seen, now.said, then.said)
    _show_items(changed[:_SHOWN], now.said, then.said)
    if len(changed) > _SHOWN:
        out.print(f"… and {len(changed) - _SHOWN:,} more (all with --json)")
    gained, lost = flags(now.said, then.said)
    out.print(
        f"{len(changed):,} of {len(seen.items):,} items would get another verdict: "
        f"{gained:,} flags gained, {lost:,} lost"
    )
    before, after = _bands(now.said), _bands(then.said)
    for band, style in BAND_STYLES.items():
        out.print(Text.assemble("  ", (f"{band:10}", style), f" {before[band]:>8,} → {after[band]:,}"))
    out.print(f"closed: not yet measured, now:  {told_of_closed(now.closed)}")
    out.print(f"closed: not yet measured, then: {told_of_closed(then.closed)}")


def _show_items(ids: Sequence[str], now: Said, then: Said) -> None:
    if not ids:
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("id", "now", "then", "p", "why, then"):
        table.add_column(heading, no_wrap=heading != "why, then", justify="right" if heading == "p" else "left")
    for id_ in ids:
        one = then[id_]
        table.add_row(
            printable(id_), _in_words(now[id_]), _in_words(one), f"{one.probability:.2f}", printable(one.explanation)
        )
    out.print(table)


def _in_words(said: ItemProcessed | ItemRevised) -> Text:
    of = "" if said.duplicate_of is None else f" of {printable(said.duplicate_of).plain}"
    return Text(f"{said.band.value}{of}", style=BAND_STYLES[said.band.value])
