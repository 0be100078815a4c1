"""``recommender init``: from a file, or a server, to the page that shows its duplicates."""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from celery_recommender.cli.asking import named_server, require_server
from celery_recommender.cli.common import err, json_option, load_settings, out, print_json, printable
from celery_recommender.cli.input.agreeing import agreed, collection_of, named
from celery_recommender.cli.input.checkpoint import Checkpoint, accounted, file_identity, say_where_it_goes_on
from celery_recommender.cli.input.mapping_options import FileOptions, mapping_options, opened
from celery_recommender.cli.input.outcomes import Outcomes
from celery_recommender.cli.input.sending import acceptable, upsert
from celery_recommender.cli.input.tally import Tally
from celery_recommender.cli.locating import located
from celery_recommender.cli.remembered import remember
from celery_recommender.cli.run.next_steps import default_page, items_page, next_commands, tell_next_commands
from celery_recommender.cli.run.together import keep_running, page_at_work, program, worker_at_work
from celery_recommender.cli.run.web import require_libraries
from celery_recommender.client import Client
from celery_recommender.records import Items
from celery_recommender.sandbox import ended_in_order
from celery_recommender.settings import Settings, has_screen, write_settings_file


@click.command()
@click.option(
    "--file", "file", type=click.Path(exists=True, dir_okay=False), help="Your items.  [default: asked for, or none]"
)
@click.option("--redis-url", metavar="URL", help="Server of the streams.  [default: a private one in this directory]")
@mapping_options
@click.option(
    "--serve/--no-serve",
    default=None,
    help="Keep worker and page running until Ctrl-C.  [default: at a terminal]",
)
@click.option("--port", type=click.IntRange(0, 65535), help="Port of the page.  [default: 8080, or a free one]")
@json_option
@click.pass_context
def init(
    context: click.Context,
    file: str | None,
    redis_url: str | None,
    given: FileOptions,
    *,
    serve: bool | None,
    port: int | None,
    as_json: bool,
) -> None:
    """Set up this directory: choose a file, check its columns, send it, open the page on its duplicates.

    At a terminal it asks: for a file, or nothing where your programs send the items; and whether the guessed columns
    are right, which you may correct. It writes the settings into recommender.env, which the other commands read in
    this directory. A worker and the page are started where none is at work, and end with Ctrl-C; what was sent stays.

    \b
    recommender init
    recommender init --file tickets.csv --yes
    recommender init --file tickets.csv --id-field number --collection tickets --yes --no-serve --json
    recommender init --redis-url redis://queue:6379/0          your programs send the items

    Exit codes are those of `recommender ingest`: 0 all rows sent, 3 some failed, 1 none succeeded.
    """
    asking = sys.stdin.isatty() and err.is_terminal and not given.yes and not as_json
    serve = (sys.stdin.isatty() and not as_json) if serve is None else serve
    if serve:
        require_libraries()
    if file is None and asking:
        file = _asked_for_file()
        redis_url = redis_url or (None if file is not None else _asked_for_server())
    if file is None and not asking and not redis_url:
        raise click.UsageError("--file names your items; or --redis-url the server that your programs send them to")
    if context.get_parameter_source("collection") is ParameterSource.DEFAULT and file is not None:
        given = named(given, collection=collection_of(file))
    settings = load_settings(redis_url=redis_url, web_port=port)
    if file is not None:
        given = agreed(file, given, asking=asking)
    settings_file = _written(settings)
    report = {"collection": given.collection, "settings": str(settings_file), "file": file}
    with ended_in_order(), ExitStack() as running:
        services = running.enter_context(worker_at_work(settings)) if serve or file is not None else []
        remember(settings, given.collection)
        code = 0
        if file is not None:
            sent = _send(file, given, settings, shown=not as_json)
            report, code = {**report, **sent}, sent["exit_code"]
        if not serve:
            _tell(report, settings, as_json=as_json)
        else:
            page, address = running.enter_context(page_at_work(settings))
            shown = items_page(address, given.collection) if file is not None else f"{address}/"
            _tell({**report, "page": shown}, settings, as_json=as_json)
            _open(shown, asking=asking)
            keep_running([*services, page])
    context.exit(code)


def _asked_for_file() -> str | None:
    kinds = "CSV, Excel, JSON or Parquet"
    while True:
        said = click.prompt(
            f"File with your items ({kinds}; empty: my programs send them)", default="", show_default=False, err=True
        )
        path = Path(said.strip().strip("'\"")).expanduser()
        if not said.strip():
            return None
        if path.is_file():
            return str(path)
        err.print(printable(f"there is no file {said.strip()!r} in {Path.cwd()}"))


def _asked_for_server() -> str | None:
    said = click.prompt(
        "Redis URL (empty: a private server in this directory)", default="", show_default=False, err=True
    )
    return said.strip() or None


def _written(settings: Settings) -> Path:
    """The file of settings: where the streams and the state are, whatever directory a service starts in."""
    given = {"state_dir": str(settings.state_dir.absolute())}
    if settings.redis_url:
        require_server(settings)
        given["redis_url"] = settings.redis_url
    path = write_settings_file(given)
    err.print(printable(f"settings: {path}"), style="dim")
    return path


def _send(file: str, given: FileOptions, settings: Settings, *, shown: bool) -> dict[str, Any]:
    """Send the rows that an earlier run has not sent, and wait for their verdicts."""
    client = Client(located(named_server(settings), given.collection))
    identity = file_identity(file, "init", given.identity, settings.home)
    checkpoint = Checkpoint(settings.state_dir / "sent", identity, restart=False)
    say_where_it_goes_on(checkpoint, restartable=False)
    tally = Tally(given.on_repeat)
    outcomes = Outcomes(client, checkpoint, tally)
    with accounted(checkpoint, given.collection, file), opened(file, given) as (reader, mapping):
        outcomes.send(reader, Items(reader, mapping, given.on_repeat, acceptable), upsert, wait=True)
        columns = {
            "id": mapping.id_field,
            "text": [*mapping.text_fields],
            "time": mapping.timestamp_field,
            "attributes": [*mapping.attributes],
        }
    checkpoint.finish()
    client.close()
    if shown:
        outcomes.show()
    return {"columns": columns, **outcomes.as_dict(), "exit_code": tally.exit_code}


def _tell(report: Mapping[str, Any], settings: Settings, *, as_json: bool) -> None:
    collection = report["collection"] if report["file"] is not None else None
    commands = next_commands(settings, collection)
    if as_json:
        print_json({**report, "next": [command for command, _ in commands]})
        return
    out.print()
    if "page" not in report:
        name = program()
        commands = [(f"{name} worker & {name} web", f"serves the page, at {default_page()}"), *commands[:2]]
    tell_next_commands(commands)


def _open(page: str, *, asking: bool) -> None:
    """Print the address of the page; open it where somebody sits before a screen."""
    opened_ = asking and has_screen() and webbrowser.open(page)
    err.print(printable(f"{'opened' if opened_ else 'open'} {page}"), style="bold")
