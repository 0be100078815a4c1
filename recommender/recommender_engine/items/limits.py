"""What a message may hold. Checked before anything is parsed, tokenised or stored."""

from __future__ import annotations

MAX_MESSAGE_BYTES = 256 * 1024
MAX_SHOWN_BYTES = 8 * 1024  # of a rejected message, in the event; the dead letter has all of it
MAX_NESTING = 8
MAX_TEXT_BYTES = 96 * 1024
MAX_ID_BYTES = 256
MAX_KEY_BYTES = 256
MAX_SENTENCE_BYTES = 512
MAX_NAME_CHARS = 64  # of a field or an attribute
MAX_FIELDS = 16
MAX_ATTRIBUTES = 64
MAX_ATTRIBUTE_BYTES = 1024
MAX_ATTRIBUTE_VALUES = 256  # in an attribute that is a list
MAX_FILTER_DEPTH = 8
MAX_FILTER_CONDITIONS = 64
MAX_FILTER_VALUES = 1_000
MAX_FILTER_BYTES = 32 * 1024  # of its names and strings together
MAX_VECTOR_DIMENSION = 4096
MAX_WINDOWS = 16  # of a text, each of as many tokens as the model reads
MAX_VERSION = 2**63 - 1
MAX_RULES = 16  # names in a policy
MAX_WORDS_BYTES = 16 * 1024  # word lists of a collection, as JSON
NOVELTY_SAMPLE = 1000  # recent arrivals of a collection that the novelty of an item is stated against
MAX_TRAFFIC_HOURS = 900  # of a collection that moves
MAX_INCIDENTS = 200  # of a collection, those of the last six hours included
MAX_SUBSCRIPTIONS = 1_000_000  # to lists of a collection

KEY_WINDOW_MS = 24 * 3600 * 1000
"""For how long of stream time a repeated key has no second effect."""
