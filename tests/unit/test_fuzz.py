"""Whatever is sent, there is one outcome, and no error but our own. `make fuzz` does the same for longer."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from celery_recommender.broker.commands.log import decode
from celery_recommender.cli.input.policies import KNOWN, checked, read_policies, settings_of
from recommender_engine import Recommender
from recommender_engine.errors import ConfigurationError
from recommender_engine.items import EntryId, RejectedCommand, limits
from recommender_engine.items.commands import COMMAND_TYPES
from tests.support.engine import is_outcome, opened

NOW_MS = 1_700_000_000_000
quick = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

# -- texts that are nearly JSON ----------------------------------------------------------------------------------------

NAMES = ["id", "collection", "text", "fields", "attributes", "timestamp", "vector", "version", "silent", "other", "by"]
NAMES += ["settings", "answer", *KNOWN.split(", ")]
ODD = [
    "NaN",
    "-Infinity",
    "1e400",
    "-0",
    "9" * 5000,
    str(2**64),
    "1e-400",
    r'"\ud800"',
    r'"\udc00\ud800"',
    '"\u0000"',
    r'"\u0000"',
    '"\u202e\u200b"',
    "tru",
    "'a'",
    "",
    "\ufeff1",
    "[" * 3000,
    "[" * 20 + "]" * 20,
    '{"a":1,"a":2}',
    '"2026-03-01T09:30:00Z"',
    '"T-1"',
    '"same"',
]
scalars = st.one_of(
    st.sampled_from(ODD),
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)).map(json.dumps),
)
names = st.one_of(st.sampled_from(NAMES).map(json.dumps), scalars)


def _object(pairs: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{name}:{value}" for name, value in pairs) + "}"


def _array(values: list[str]) -> str:
    return "[" + ",".join(values) + "]"


values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(_array), st.lists(st.tuples(names, inner), max_size=3).map(_object)
    ),
    max_leaves=6,
)
objects = st.lists(st.tuples(names, values), max_size=6).map(_object)
messages = st.one_of(
    st.binary(max_size=64),
    values.map(lambda text: text.encode(errors="surrogatepass")),
    objects.map(lambda text: text.encode(errors="surrogatepass")),
    st.tuples(objects, st.integers(0, 200), st.binary(min_size=1, max_size=2)).map(
        lambda parts: parts[0].encode(errors="surrogatepass")[: parts[1]] + parts[2]
    ),
)
fields = st.fixed_dictionaries(
    {},
    optional={
        b"data": messages,
        b"type": st.one_of(st.sampled_from([name.encode() for name in COMMAND_TYPES]), st.binary(max_size=8)),
        b"key": st.binary(max_size=6),
        b"reply_to": st.one_of(st.just(b"2 task"), st.binary(max_size=8)),
        b"expires_ms": st.one_of(st.just(b"9999999999999"), st.binary(max_size=6)),
        b"\xff": st.just(b"x"),
    },
)


class Driver:
    """An engine that is given one entry after the other."""

    def __init__(self, engine: Recommender) -> None:
        self._engine = engine
        self._last = EntryId(NOW_MS, 0)

    def outcomes(self, said: dict[bytes, bytes]) -> int:
        self._last = self._last.next_at(self._last.ms)
        entry = decode(self._last, said, NOW_MS)
        if isinstance(entry.command, RejectedCommand):
            assert len(entry.command.payload) <= limits.MAX_MESSAGE_BYTES
            assert entry.command.type.isprintable()
            assert len(str(entry.command.error)) < 1000
        events = self._engine.process([entry])
        for event in events:
            json.loads(event.to_json("/recommender/default"), parse_constant=pytest.fail)
        assert self._engine.position == self._last
        return sum(is_outcome(event) and not event.silent for event in events)


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    with contextlib.closing(opened()) as engine:
        yield Driver(engine)


@quick
@given(said=fields)
@example(said={b"data": b'{"id":"a","text":"b","attributes":{"\\ud800":1}}'})
@example(said={b"data": b'{"id":"a","text":"' + b"\xcc\x81" * 40_000 + b'"}'})
@example(said={b"type": b"feedback.given", b"data": b'{"id":"a","other":"b","answer":"same"}'})
def test_every_entry_has_one_outcome(driver: Driver, said: dict[bytes, bytes]) -> None:
    assert driver.outcomes(said) <= 1  # a repeated key, a tick and what is silent are answered by nothing new
    assert driver.outcomes({b"data": b'{"id":"good","text":"goes on"}'}) == 1


# -- policies ----------------------------------------------------------------------------------------------------------

toml_values = st.one_of(st.sampled_from([*ODD, "1979-05-27", "inf", "nan", "0x1", "[1, 'a']", "{a = 1}"]), values)
lines = st.one_of(
    st.tuples(st.sampled_from([*KNOWN.split(", "), "a.b", '"\\u0000"', ""]), toml_values).map(" = ".join),
    st.text(max_size=10).map("[{}]".format),
    st.sampled_from(["[tickets]", "[tickets.only]", "[[tickets]]", "[" * 2000]),
)
files = st.one_of(
    st.lists(lines, max_size=6).map(lambda said: "\n".join(said).encode(errors="surrogatepass")), st.binary(max_size=40)
)


@quick
@given(content=files, collection=st.none() | st.text(max_size=4))
@example(content=b"candidates = " + b"9" * 5000, collection="tickets")
@example(content=b"equal = " + b"[" * 5000, collection="tickets")
@example(content=b"\xff\xfe", collection=None)
def test_a_policy_file_is_read_or_refused(tmp_path: Path, content: bytes, collection: str | None) -> None:
    path = tmp_path / "policy.toml"
    path.write_bytes(content)
    with contextlib.suppress(ConfigurationError):
        for name, said in read_policies(path, collection).items():
            checked(name, said)


@quick
@given(st.lists(st.tuples(st.sampled_from([*KNOWN.split(", "), "only.a", "x", ""]), toml_values).map("=".join)))
@example(["equal=" + "[" * 5000])
@example(["candidates=" + "9" * 5000])
def test_words_are_settings_or_refused(words: list[str]) -> None:
    with contextlib.suppress(ConfigurationError, click.UsageError):
        checked("tickets", settings_of(words))
