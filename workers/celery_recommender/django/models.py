"""The table of commands that are not in the stream yet."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models

_NUMBER_BITS = 40
_NUMBERS = (1 << _NUMBER_BITS) - 1


class PendingCommand(models.Model):
    """A command that was written with the row it is about; it is deleted once the stream has it.

    Attributes:
        id: its number.
        type: of the command.
        data: of the command, as JSON.
        key: its idempotency key: sent twice, it has one effect.
        created_at: when it was written.
    """

    id = models.BigAutoField(primary_key=True)
    type = models.CharField(max_length=64)
    data = models.TextField()
    key = models.UUIDField(default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """Options."""

        verbose_name = "pending command"
        ordering: ClassVar = ["id"]

    @property
    def version(self) -> int:
        """The version of the item, so that a command which is sent late does not undo a newer one.

        Numbers order the commands of an hour. The hour is before them, because numbers begin anew in a database that is
        restored or loaded into another.
        """
        hours: int = int(self.created_at.timestamp()) // 3600
        return hours << _NUMBER_BITS | int(self.pk) & _NUMBERS

    def __str__(self) -> str:
        """Type and id."""
        return f"{self.type} {self.pk}"
