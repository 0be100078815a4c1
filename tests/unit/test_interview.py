"""What a person may type where two items are shown."""

from __future__ import annotations

import io
import sys

import click
import pytest
from rich.console import Console

from celery_recommender.cli.answering.interview import read_key


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def typed(said: bytes, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], str]:
    """The keys until the end of the input, and what was shown."""
    shown = Console(file=io.StringIO(), width=200)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(said), encoding="utf-8", errors="strict"))
    keys = []
    while not keys or keys[-1] != "q":
        keys.append(read_key(shown))
    return keys, shown.file.getvalue()  # type: ignore[attr-defined]


def test_a_line_is_a_key_or_its_word(monkeypatch: pytest.MonkeyPatch) -> None:
    keys, shown = typed(b"y\n Yes \nsame\nN\nno\ndifferent\ns\nskip\nunsure\nu\nundo\n", monkeypatch)
    assert "".join(keys) == "yyynnnsssuuq"
    assert "press" not in shown


@pytest.mark.parametrize("said", ["not sure", "nothing", "yn", "sure", "similar", "y?", "", "\u00ff", "\x00"])
def test_what_only_begins_like_a_key_is_asked_again(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    keys, shown = typed(said.encode("utf-8") + b"\n", monkeypatch)
    assert keys == ["q"]
    assert shown.count("press y, n, s, u or q") == 1


def test_bytes_that_are_no_text_are_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    keys, shown = typed(b"\xff\xfe\n", monkeypatch)
    assert (keys, shown.count("press y, n, s, u or q")) == (["q"], 1)


def test_the_end_of_the_input_at_a_terminal_ends_it_as_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def end() -> str:
        raise EOFError

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(click, "getchar", end)
    assert read_key(Console(file=io.StringIO())) == "q"
