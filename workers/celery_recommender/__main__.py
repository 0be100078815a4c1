"""``recommender``, and ``python -m celery_recommender``."""

from __future__ import annotations


def run() -> None:
    """The command. Its imports come after the handlers of signals are in place."""
    from celery_recommender.ending import INTERRUPTED, end_when_told

    end_when_told()
    try:
        from celery_recommender.cli import main

        main()
    except KeyboardInterrupt:  # before the command itself was at work
        raise SystemExit(INTERRUPTED) from None


if __name__ == "__main__":
    run()
