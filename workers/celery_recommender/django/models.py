"""The table of commands that are not in the stream yet."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models


class PendingCommand(models.Model):
    """A command that was written with the row it is about; it is deleted once the stream has it.

    Attributes:
        id: also the version of the item, so that a command which is sent late does not undo a newer one.
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

    def __str__(self) -> str:
        """Type and id."""
        return f"{self.type} {self.pk}"
