"""The message in a text: mark-up is read, and what mail programs and companies put around it is cut away.

The text is stored as it was sent; only a part of it is compared.
"""

from recommender_engine.message.message import Cut, Message, Messages

__all__ = ["Cut", "Message", "Messages"]
