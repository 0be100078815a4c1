"""Writes the reference pages that only repeat what the code says: settings, metrics, command line.

python tools/generate_reference.py            # write them
python tools/generate_reference.py --check    # exit 1 if one is stale
"""

from __future__ import annotations

import argparse
import collections
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import click  # noqa: E402
from prometheus_client import Counter, Gauge, Histogram  # noqa: E402
from pydantic import BaseModel  # noqa: E402
from pydantic.fields import FieldInfo  # noqa: E402

from celery_recommender.cli import main as command_line  # noqa: E402
from celery_recommender.cli.input.mapping_options import mapping_options  # noqa: E402
from celery_recommender.owner.telemetry.metrics import Metrics  # noqa: E402
from celery_recommender.settings import Settings, variable  # noqa: E402
from recommender_engine.matching.features.feature import Feature  # noqa: E402
from recommender_engine.matching.features.table import TABLE  # noqa: E402

GENERATED = "<!-- Written by tools/generate_reference.py: change the code, then run it. -->"


def settings_page() -> Iterator[str]:
    yield "# Settings"
    yield ""
    yield GENERATED
    yield ""
    yield from (
        "Every process (worker, command line, a Celery app with the recommender attached) reads its settings from",
        "environment variables once, at the start. An invalid value is an error that names the variable. Commas",
        "separate lists. Blanks and quotes around a value are ignored, an empty variable is unset, levels and other",
        "words have any case.",
        "",
        "* `RECOMMENDER_REDIS_URL_FILE`, `RECOMMENDER_BROKER_URL_FILE`, `RECOMMENDER_RESULT_BACKEND_FILE` and",
        "  `RECOMMENDER_WEB_PROXY_SECRET_FILE` name files with the value.",
        "* The command line also reads `recommender.env` in the working directory, which `recommender init` writes:",
        "  `NAME=value` lines. The environment has precedence, and a file that another user owns does not count. An",
        "  application that imports the package reads no file.",
        "* An unknown variable that begins with `RECOMMENDER_` is reported, with the nearest name.",
        "* Variables of Kubernetes for a Service called `recommender-…` (`RECOMMENDER_METRICS_PORT=tcp://…`,",
        "  `…_SERVICE_HOST`, `…_PORT_6379_TCP_ADDR` …) are ignored; `recommender doctor` lists them.",
        "",
        "Settings of a *collection* (model, thresholds, index) are a [command](commands.md#collectionconfigured).",
        "",
        "| variable | default | values | meaning |",
        "| --- | --- | --- | --- |",
    )
    meanings = attributes_of(Settings)
    for name, field in Settings.model_fields.items():
        yield f"| `{variable(name)}` | {shown_default(field)} | {values_of(field)} | {cell(sentence(meanings[name]))} |"
    yield from URLS


URLS = (
    "",
    "## URLs",
    "",
    "Client, worker, Celery and `recommender doctor` read URLs in the same way:",
    "",
    "| form | reaches |",
    "| --- | --- |",
    "| `redis://[USER:PASSWORD@]HOST[:PORT][/DB]`, `valkey://…` | a server; an IPv6 address in brackets |",
    "| `rediss://…`, `valkeys://…` | the same over TLS |",
    "| `unix://[USER:PASSWORD@]/PATH[?db=DB]`, `redis+socket://…?virtual_host=DB` | a local socket |",
    "| `sentinel://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…]/SERVICE[/DB]` | the master of SERVICE |",
    "| `sentinel://HOST:PORT/DB;sentinel://HOST:PORT/DB?master_name=SERVICE` | the same, as Celery writes it |",
    (
        "| `sentinels://…` | the master over TLS, through Sentinels without it. For the streams only:"
        " Celery does not reach such a server, so `RECOMMENDER_BROKER_URL` and `RECOMMENDER_RESULT_BACKEND` name"
        " another |"
    ),
    "",
    "Percent-encode `# / ? @ : % [ ]` in a user or password. Options after `?`: `db`,",
    "`virtual_host`, `username`, `password`, `client_name`, `socket_timeout`, `socket_connect_timeout`,",
    "`ssl_cert_reqs`, `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile`, `ssl_check_hostname`, and for Sentinels",
    "`master_name`, `sentinel_username` and `sentinel_password` (default: the server's). Options of libraries",
    "(`protocol`, `decode_responses`, `max_connections` …) are ignored.",
    "",
    "Refused, with advice and without the password: Redis Cluster, lists of servers (`redis://a;redis://b`), other",
    "options.",
)


def metrics_page() -> Iterator[str]:
    yield "# Metrics"
    yield ""
    yield GENERATED
    yield ""
    yield from (
        "A worker serves them at `/metrics` when `RECOMMENDER_METRICS_PORT` is set. Every series has the label",
        "`partition`. Of messages, labels have the names of at most 20 collections only.",
        "[Alerts](../../deploy/prometheus/alerts.yml) are explained in the [runbook](../../deploy/runbook.md),",
        "[boards](../../deploy/grafana) for Grafana show them.",
        "",
        "| metric | kind | further labels | meaning |",
        "| --- | --- | --- | --- |",
    )
    for metric in metrics():
        described = metric.describe()[0]
        name = described.name + ("_total" if isinstance(metric, Counter) else "")
        labels = [label for label in metric._labelnames if label != "partition"]  # noqa: SLF001 (shown nowhere else)
        listed = ", ".join(f"`{label}`" for label in labels)
        yield f"| `{name}` | {described.type} | {listed} | {cell(described.documentation)} |"
    yield ""
    yield from (
        "A histogram shows as `…_bucket`, `…_sum` and `…_count`.",
        "",
        "Probes, on the same port, answer 200 or 503 with JSON:",
        "",
        "| path | is 200 | use it to |",
        "| --- | --- | --- |",
        (
            "| `/livez` | while there is progress: no command has waited longer than `RECOMMENDER_STALL_AFTER_S`"
            " without a commit; also while it starts, and while Redis is away | restart the process |"
        ),
        (
            "| `/readyz` | `role` is `owner`: it decides, and makes progress. `role` is `standby`: its model is loaded,"
            " and it takes over as soon as the place is free. While it starts or takes over: 503, with the `reason` |"
            " wait for a start, roll out an upgrade |"
        ),
        "| `/healthz` | as `/livez`; its JSON has the whole status | look |",
    )


def features_page() -> Iterator[str]:
    yield "# Features of a pair"
    yield ""
    yield GENERATED
    yield ""
    yield from (
        "In the order of `recommender_engine/matching/features/table.py`. *Sign*: with a larger value the probability",
        "never falls (`same`), never rises (`different`), or follows the data. *Read from*: the pair alone; values of",
        "both (`stated`: codes, numbers, sizes, colours); named fields (`titles`, `labels`); both texts word by word",
        "(`contradictions`); or the item's other candidates (`context`). *Evidence*: the reason that it belongs to.",
        "",
        "| feature | sign | read from | evidence | meaning |",
        "| --- | --- | --- | --- | --- |",
    )
    for one in TABLE:
        sign = {1: "`same`", -1: "`different`", 0: ""}[one.sign]
        yield f"| `{one.name}` | {sign} | {one.kind.name} | {one.evidence.name} | {cell(meaning_of(one))} |"
    yield ""
    yield from (
        "A feature without values to compare is missing, which models handle. People's answers and models have",
        "features by name: a model from before a feature was added works without it.",
    )


def meaning_of(feature: Feature) -> str:
    told = inspect.getdoc(feature.function) or ""
    taught = "" if feature.usual is None else " Only a collection's own answers teach what it weighs."
    return told + taught


def command_line_page() -> Iterator[str]:
    yield "# Command line"
    yield ""
    yield GENERATED
    yield ""
    yield from (
        "`recommender COMMAND`, or `python -m celery_recommender COMMAND`. Settings come from the",
        "[environment](settings.md). Progress and remarks go to standard error.",
        "",
        "| exit code | meaning |",
        "| --- | --- |",
        "| 0 | done |",
        "| 1 | failed; the reason is on standard error; no row of a file succeeded (`pairs`: fewer than two items) |",
        "| 2 | wrong usage |",
        "| 3 | `ingest`, `enrich`, `pairs`, `evaluate`: some rows of the file failed |",
        "| 70 | `worker`: it cannot continue; a supervisor restarts it |",
        "| 78 | `worker`, `embed-worker`: a setting, or the server that it names, must be changed first |",
        "| 130 | interrupted |",
        "| 143 | SIGTERM before the command was done; a running worker exits with 0 |",
    )
    commands = list(named_commands())
    shared = shared_rows([command for _, _, command in commands])
    yield from ("", "## Common options", "", *HEADER, *shared)
    yield from ("", "## Options that read a file", "")
    yield from ("The formats are described in [files](../guide/files.md).", "", *HEADER, *FILE_ROWS)
    for heading, name, command in commands:
        yield ""
        yield from command_section(name, command, heading, shared)


HEADER = ("| option | default | meaning |", "| --- | --- | --- |")
SHARED_BY = 3
"""An option that so many commands have with the same default and meaning is described once."""


def named_commands() -> Iterator[tuple[str, str, click.Command]]:
    """Heading, name and command, each group before its parts."""
    context = click.Context(command_line, info_name="recommender")
    for name in command_line.list_commands(context):
        command = command_line.get_command(context, name)
        if command is None:
            raise LookupError(name)
        yield "##", name, command
        if isinstance(command, click.Group):
            for part in command.commands.values():
                yield "###", f"{name} {part.name}", part


def shared_rows(commands: list[click.Command]) -> list[str]:
    counts = collections.Counter(row for command in commands for row in rows_of(command))
    return [row for row, count in counts.items() if count >= SHARED_BY]


def rows_of(command: click.Command) -> dict[str, str]:
    """Names of the options by their rows, without those that it takes because it reads a file."""
    rows = {option_row(one): one.opts[0] for one in options_of(command)}
    return {row: name for row, name in rows.items() if not (reads_file(command) and row in FILE_ROWS)}


def reads_file(command: click.Command) -> bool:
    return {option_row(one) for one in options_of(command)}.issuperset(FILE_ROWS)


def options_of(command: click.Command) -> list[click.Option]:
    return [one for one in command.params if isinstance(one, click.Option)]


def option_row(option: click.Option) -> str:
    names = " / ".join(
        ["`" + ", ".join(option.opts) + takes(option) + "`", *(f"`{name}`" for name in option.secondary_opts)]
    )
    meaning, default = option_meaning(option)
    return f"| {cell(names)} | {cell(default)} | {cell(meaning)} |"


def command_section(name: str, command: click.Command, heading: str, shared: list[str]) -> Iterator[str]:
    arguments = [metavar(one) for one in command.params if isinstance(one, click.Argument)]
    if isinstance(command, click.Group):
        arguments.append(command.subcommand_metavar)
    yield f"{heading} {name}"
    yield ""
    yield f"`{' '.join(['recommender', name, *arguments])}`"
    yield ""
    yield from help_text(command.help or "")
    rows = rows_of(command)
    own = [row for row in rows if row not in shared]
    if own:
        yield from ("", *HEADER, *own)
    also = ["the [options that read a file](#options-that-read-a-file)"] if reads_file(command) else []
    also += [f"`{name}`" for row, name in rows.items() if row in shared]
    if also:
        yield from ("", f"Also {', '.join(also)}.")


def help_text(text: str) -> Iterator[str]:
    """Paragraphs as they are; the examples that click is told not to wrap (``\\b``) as code."""
    for number, paragraph in enumerate(re.split(r"\n\s*\n", inspect.cleandoc(text))):
        if number:
            yield ""
        if paragraph.startswith("\b"):
            yield "```sh"
            yield from (line for line in paragraph.splitlines()[1:])
            yield "```"
        else:
            yield from paragraph.splitlines()


def option_meaning(option: click.Option) -> tuple[str, str]:
    """What it is for and its default; some options name in words what they do when they are not given."""
    text, _, told = (option.help or "").partition("[default: ")
    if told:
        return text.strip(), told.rstrip("]")
    if option.show_default and isinstance(option.default, bool):
        return text.strip(), f"`{(option.opts if option.default else option.secondary_opts)[0]}`"
    return text.strip(), f"`{option.default}`" if option.show_default else ""


def takes(option: click.Option) -> str:
    if option.is_flag:
        return ""
    if isinstance(option.type, click.Choice):
        return " " + "|".join(option.type.choices)
    return " " + (option.metavar or option.type.name.split()[0].upper())


def metavar(argument: click.Argument) -> str:
    return argument.metavar or str(argument.name).upper()


def metrics() -> list[Counter | Gauge | Histogram]:
    return [one for one in vars(Metrics("default")).values() if isinstance(one, Counter | Gauge | Histogram)]


def attributes_of(model: type[BaseModel]) -> dict[str, str]:
    """The ``Attributes`` section of a Google-style docstring."""
    section = inspect.getdoc(model).partition("Attributes:\n")[2]  # type: ignore[union-attr]
    entries = re.findall(r"^    (\w+): (.*(?:\n {6,}.*)*)", section, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


def shown_default(field: FieldInfo) -> str:
    value: Any = field.default
    if isinstance(value, tuple):
        value = ",".join(value)
    return "" if value in (None, "") else f"`{value}`"


def values_of(field: FieldInfo) -> str:
    bounds = {"ge": "from", "gt": "above", "le": "to"}
    told = [
        f"{word} {getattr(one, name)}"
        for one in constraints(field)
        for name, word in bounds.items()
        if hasattr(one, name)
    ]
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(field.annotation))
    kinds: dict[Any, str] = {bool: "true or false", int: "whole number", float: "number", Path: "path"}
    kind = next(
        (kinds[part] for part in parts(field.annotation) if part in kinds),
        "list" if "tuple" in str(field.annotation) else "text",
    )
    return " ".join([kind, *told])


def constraints(field: FieldInfo) -> list[Any]:
    """Bounds of the field; those of ``X | None`` stand inside the annotation."""
    inner = [one for part in get_args(field.annotation) for one in getattr(part, "__metadata__", ())]
    found: list[Any] = []
    for one in (*field.metadata, *inner):
        found += one.metadata if isinstance(one, FieldInfo) else [one]
    return found


def parts(annotation: Any) -> list[Any]:
    """A type and everything that it is made of."""
    return [annotation, *(deeper for part in get_args(annotation) for deeper in parts(part))]


def sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def cell(text: str) -> str:
    """Text for a table: no line breaks, no bars, reST's double backquotes as Markdown's."""
    return " ".join(text.split()).replace("|", r"\|").replace("``", "`")


FILE_ROWS = [option_row(one) for one in options_of(click.command()(mapping_options(lambda: None)))]
"""What every command that reads a file of items takes."""

PAGES: dict[str, Callable[[], Iterator[str]]] = {
    "docs/reference/settings.md": settings_page,
    "docs/reference/metrics.md": metrics_page,
    "docs/reference/features.md": features_page,
    "docs/reference/command-line.md": command_line_page,
}


def stale() -> list[str]:
    """Pages that do not say what the code says."""
    return [path for path in PAGES if not (ROOT / path).exists() or (ROOT / path).read_text() != text_of(path)]


def text_of(path: str) -> str:
    return "\n".join(PAGES[path]()) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a page is stale")
    found = stale()
    for page in found:
        print(f"stale: {page}")
    if parser.parse_args().check:
        sys.exit(bool(found))
    for page in found:
        (ROOT / page).write_text(text_of(page))
