"""The consumer of the owner's Celery queue: no message is lost, none is run unchecked."""
