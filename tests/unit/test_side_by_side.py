"""Two texts beside each other: what differs is marked, whatever they hold."""

from __future__ import annotations

import io

from rich.console import Console

from celery_recommender.cli.output.side_by_side import differing, side_by_side


def pieces(one: str, other: str) -> tuple[list[str], list[str]]:
    """The words of each text that the other does not have in that place."""
    mine, theirs = differing(one, other)
    return tuple([word for word, apart in zip(*side, strict=True) if apart and word.strip()] for side in (mine, theirs))  # type: ignore[return-value]


def test_what_differs_is_found_word_by_word() -> None:
    assert pieces("Refund for order 1042", "refund for  order 1043!") == (["1042"], ["1043", "!"])
    assert pieces("the same", "THE SAME") == ([], [])
    assert pieces("", "a") == ([], ["a"])
    assert pieces("from Oslo to Lisbon", "from Lisbon to Oslo")[0] != []


def test_long_texts_are_distinguished_by_their_words() -> None:
    long = " ".join(f"word{place}" for place in range(1500))
    assert pieces(long, f"{long} more") == ([], ["more"])


def shown(one: str, other: str, color: str | None = None) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=60, color_system=color, force_terminal=color is not None)  # type: ignore[arg-type]
    console.print(side_by_side(one, other, ("a", "b"), console))
    return stream.getvalue()


def test_differences_are_bold_or_in_brackets_and_texts_write_no_control_codes() -> None:
    assert "order [1042]" in shown("order 1042", "order 1043")
    assert "[one two]" in shown("order one two", "order")
    assert "an [old] order" in shown("an old order", "an order")
    assert "[10] of [20]!" in shown("10 of 20!", "11 of 21!")
    assert "\x1b[1;7m1042\x1b[0m" in shown("order 1042", "order 1043", "standard")
    assert "\x1b" not in shown("order \x1b[31m", "order")
    assert "[[bold]]a" in shown("[bold]a", "a")
