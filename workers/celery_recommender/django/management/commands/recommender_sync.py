"""Send what waits in the table, or every row of the followed models."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS

from celery_recommender.django.following import followed_models
from celery_recommender.django.sending import FAILURES, send_pending


class Command(BaseCommand):
    """Send what waits, or everything."""

    help = (
        "Send the commands that could not be sent when their rows were saved. Run it from cron or Celery beat. "
        "With --all, every row of the followed models is sent as well, for the first time or after bulk changes."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("--all", action="store_true", help="Send every row of the followed models.")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="Alias of the database.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Send.

        Raises:
            CommandError: the server does not answer, or too much waits.
        """
        using: str = options["database"]
        try:
            self.stdout.write(f"{send_pending(using)} pending commands sent")
            for followed in followed_models() if options["all"] else ():
                sent = 0
                for number in followed.enqueue_all(using):
                    sent += number
                    send_pending(using)
                self.stdout.write(f"{sent} rows of {followed.model._meta.label} sent")
        except FAILURES as error:
            raise CommandError(f"not everything was sent: {error}") from error
