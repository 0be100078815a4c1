"""What `tools.same_events` takes for a difference, and what not."""

from __future__ import annotations

import json

import pytest

from tools.same_events import Sentences, difference, untimed

VERDICT = {"band": "duplicate", "reasons": [{"code": "c", "text": "3 of 4 words", "detail": {"words": 3}}]}
TABLE = {"{few} of {many} words": "{few} words of {many}", "the same text": "exactly the same text"}
NONE = Sentences({})


def line(**changes: object) -> tuple[str, str]:
    return "events", f"1-0 {json.dumps({**VERDICT, **changes})}"


def reworded(text: str) -> tuple[str, str]:
    return line(reasons=[{"code": "c", "text": text, "detail": {"words": 3}}])


def test_timings_are_no_difference_however_deep_they_stand() -> None:
    inner = json.dumps({"timings": {"embed_ms": 1.5}, "id": "a"})
    text = json.dumps({"timings": {"embed_ms": 2.5}, "event": inner})
    assert "1.5" not in untimed(text)
    assert "2.5" not in untimed(text)
    assert '"id' in untimed(inner)


@pytest.mark.parametrize(
    "changed",
    [
        line(band="review"),
        line(probability=0.1234567),
        ("events", f"1-0 {json.dumps(dict(reversed(VERDICT.items())))}"),
        ("table outbox", line()[1]),
        reworded("3 of 4 word"),
    ],
)
def test_anything_else_is_a_difference(changed: tuple[str, str]) -> None:
    assert difference([line()], [line()], NONE) is None
    assert difference([line()], [changed], NONE)
    assert difference([line()], [changed], Sentences(TABLE))


def test_a_line_more_or_less_is_a_difference() -> None:
    assert "(nothing)" in str(difference([line()], [line(), line()], NONE))
    assert "(nothing)" in str(difference([line(), line()], [line()], NONE))


def test_sentences_of_the_table_may_change_and_nothing_beside_them() -> None:
    sentences = Sentences(TABLE)
    assert difference([line()], [reworded("3 words of 4")], sentences) is None
    assert difference([line()], [reworded("4 words of 4")], sentences)
    named = {"id": "3 of 4 words"}
    assert difference([line(**named)], [line(id="3 words of 4")], sentences), "an id is no sentence"
    joined = line(explanation="3 of 4 words; but the same text")
    assert difference([joined], [line(explanation="3 words of 4; but exactly the same text")], sentences) is None


def test_sentences_in_a_row_of_the_state_are_found() -> None:
    was, now = (
        ("table items", json.dumps({"verdict": json.dumps(one)}))
        for one in ({"message": m} for m in ("the same text", "exactly the same text"))
    )
    assert difference([was], [now], Sentences(TABLE)) is None
    assert difference([was], [now], NONE)


def test_what_is_newer_than_the_recording_is_no_difference_if_asked_for() -> None:
    old = [
        ("events", '1-0 {"type":"t","data":{"id":"a","band":"new"}}'),
        ("schema", "9"),
        ("table items", '{"id": "a", "event": "{\\"band\\":\\"new\\"}"}'),
        ("questions", 'page {"data": "[{\\"id\\":1}]", "sha256": "ab"}'),
    ]
    new = [
        ("events", '1-0 {"type":"t","data":{"id":"a","band":"new","novelty":0.5}}'),
        ("schema", "10"),
        ("table items", '{"id": "a", "event": "{\\"band\\":\\"new\\",\\"novelty\\":null}", "happened_ms": null}'),
        ("table novelty", '{"slot": 1}'),
        ("questions", 'page {"data": "[{\\"id\\":1,\\"more\\":2}]", "sha256": "cd"}'),
    ]
    sentences = Sentences({})
    assert difference(old, new, sentences) is not None
    assert difference(old, new, sentences, newer=True) is None
    for number, changed in (
        (0, ("events", '1-0 {"type":"t","data":{"id":"a","band":"similar","novelty":0.5}}')),
        (2, ("table items", '{"id": "a", "event": "{}", "happened_ms": null}')),
        (4, ("questions", 'page {"data": "[{\\"id\\":2}]", "sha256": "cd"}')),
    ):
        found = difference(old, [*new[:number], changed, *new[number + 1 :]], sentences, newer=True)
        assert found is not None
    assert difference(old, new[:-1], sentences, newer=True) is not None
