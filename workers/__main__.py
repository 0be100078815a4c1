"""``recommender``, and ``python -m workers``."""

from __future__ import annotations


def run() -> None:
    """The command. What it needs is imported once it can be told to end."""
    from workers.ending import end_on_sigterm

    end_on_sigterm()
    from workers.cli import main

    main()


if __name__ == "__main__":
    run()
