"""Coverage-guided fuzzing of what strangers can send: ``python tools/fuzz.py [SECONDS]``, with atheris installed.

The decoder of stream entries and the parser of policies are fed whatever makes them do something new. Only errors of
our own may come out of them; anything else ends the run with the input in a file ``crash-…``, and with an exit status.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(
    include=[
        "recommender_engine.items",
        "celery_recommender.broker.commands.log",
        "celery_recommender.cli.input.policies",
    ]
):
    import click

    from celery_recommender.broker.commands.log import decode
    from celery_recommender.cli.input.policies import checked, read_policies, settings_of
    from recommender_engine.errors import ConfigurationError
    from recommender_engine.items import Entry, EntryId, claimed_item
    from recommender_engine.items.commands import COMMAND_TYPES

NOW_MS = 1_700_000_000_000
TYPES = [name.encode() for name in COMMAND_TYPES]
SEEDS = (
    b'\x00{"id":"T-1","collection":"c","text":"x","attributes":{"a":1.5},"vector":[1,2],"version":1,"silent":true}',
    b'\x01{"id":"T-1","attributes":{"a":null}}',
    b'\x04{"collection":"c","settings":{"equal":["a"],"only":{"a":["b",1]},"window_seconds":1}}',
    b'\x05{"id":"a","other":"b","answer":"same","by":"ada"}',
    b'\xf0[tickets]\ntarget_precision = 0.97\nequal = ["a"]\nonly = {status = ["open"]}\n',
    b"\xfatarget_precision=0.97\nequal=a,b\nonly.status=open,new",
)


def one_input(data: bytes) -> None:
    """The first byte says what the rest is: a policy file, words of a command line, or an entry of some type."""
    kind, rest = data[:1] or b"\0", data[1:]
    if kind >= b"\xf8":
        words(rest.decode(errors="surrogateescape"))
    elif kind >= b"\xf0":
        policy_file(rest)
    else:
        entry(TYPES[kind[0] % len(TYPES)], rest)


def entry(type_: bytes, rest: bytes) -> None:
    """An entry; what stands behind the byte 0xff are its other fields."""
    raw, *others = rest.split(b"\xff")
    around = dict(zip((b"key", b"reply_to", b"expires_ms"), others, strict=False))
    found = decode(EntryId(NOW_MS, 0), {b"type": type_, b"data": raw, **around}, NOW_MS)
    assert isinstance(found, Entry)
    claimed_item(raw)


def policy_file(content: bytes) -> None:
    """A policy file, for all collections and for one."""
    path = Path(tempfile.gettempdir()) / "fuzzed-policy.toml"
    path.write_bytes(content)
    for collection in (None, "tickets"):
        with suppress(ConfigurationError):
            for name, said in read_policies(path, collection).items():
                checked(name, said)


def words(text: str) -> None:
    """Settings on a command line."""
    with suppress(ConfigurationError, click.UsageError):
        checked("tickets", settings_of(text.split("\n")))


def main() -> None:
    """Fuzz for so many seconds."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(SEEDS):
            (Path(corpus) / f"seed-{number}").write_bytes(seed)
        options = [f"-max_total_time={seconds}", "-max_len=4096", "-timeout=10", "-rss_limit_mb=2048", "-verbosity=1"]
        atheris.Setup([sys.argv[0], corpus, *options], one_input)
        atheris.Fuzz()


main()
