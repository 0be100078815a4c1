"""Every error a caller of the engine may meet, in one tree.

::

    RecommenderError
    ├── InvalidCommand         one message is wrong: reject it, go on with the rest
    ├── ConfigurationError     a setting is wrong: nothing starts until it is corrected
    ├── ModelError             model files are missing, altered or of another identity
    ├── EncodingError          the model failed on a batch of texts: worth a retry
    └── StateError             the state directory cannot be used
        ├── StateLocked        another process owns it: worth a retry once that one is gone
        ├── StateDamaged       a file failed its check: restore or rebuild, never guess
        ├── StateFull          the disk is full; nothing was changed: worth a retry once there is room
        └── StateTooNew        written by a newer release: upgrade this one
"""

from __future__ import annotations


class RecommenderError(Exception):
    """Base of all errors raised by this package."""


class InvalidCommand(RecommenderError):
    """One message cannot be accepted.

    Attributes:
        code: a stable, machine-readable word, for example ``wrong_type`` or ``too_large``.
        field: path of the offending field (``attributes.price``), or ``None`` for the message as a whole.
    """

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(code, message, field)  # Celery and pickle recreate it from its args
        self.code = code
        self.field = field

    def __str__(self) -> str:
        return str(self.args[1])


class ConfigurationError(RecommenderError):
    """A setting is missing, unknown or out of range; the message names its key."""


class ModelError(RecommenderError):
    """Model files are missing, fail their checksum, or belong to another model identity."""


class EncodingError(RecommenderError):
    """The model failed on a batch of texts; the batch can be tried again."""


class StateError(RecommenderError):
    """The state directory cannot be used as it is."""


class StateLocked(StateError):
    """Another process owns the state directory."""


class StateDamaged(StateError):
    """A file in the state directory failed its check."""


class StateFull(StateError):
    """There is no room on the disk; nothing was changed."""


class StateTooNew(StateError):
    """The state was written by a newer release of this package."""
