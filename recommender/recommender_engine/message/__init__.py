"""The message in a text: mark-up is read, and what mail programs and companies put around it is cut away.

What was sent stays; this says which part of it is compared.
"""

from recommender_engine.message.message import Cut, Message, Messages

__all__ = ["Cut", "Message", "Messages"]
