"""``{% recommended_for item=product user=request.user limit=5 as products %}``."""

from __future__ import annotations

from typing import Any

from django import template
from django.db import models

from celery_recommender.django.connection import client, is_answered
from celery_recommender.django.following import followed_by
from celery_recommender.django.sending import FAILURES
from recommender_engine.event_log import event_log

log = event_log(__name__)
register = template.Library()

_TIMEOUT_S = 0.5


@register.simple_tag
def recommended_for(
    item: Any = None,
    user: Any = None,
    *,
    model: str = "",
    timeout: float = _TIMEOUT_S,
    **request: Any,
) -> list[models.Model]:
    """Rows that are recommended, best first; none where no worker answers in time: the page is shown without them.

    Args:
        item: like this row, of a model that is followed; what is no row is left out.
        user: for this user: a row, or an id; an anonymous user has none.
        model: without ``item``, the label of the model, such as ``products.Product``.
        timeout: seconds to wait.
        request: other options of a list, such as ``limit``, ``scenario``, ``session``.

    Raises:
        InvalidCommand: an option is wrong.
        LookupError: the model is not followed.
    """
    if not isinstance(item, models.Model) and not model:  # a name that the template's context lacks is ""
        return []
    followed = followed_by(type(item) if isinstance(item, models.Model) else model)
    asked = dict(request)
    if isinstance(item, models.Model):
        asked["item"] = followed.item_id(item)
    if (user_id := str(getattr(user, "pk", user) or "")) != "":
        asked["user"] = user_id
    try:
        if not is_answered(followed.collection):
            return []
        listed = client().recommendations(followed.collection, timeout_s=timeout, **asked) or []
    except (*FAILURES, TimeoutError) as error:
        log.warning("django.no_recommendations", extra={"error": f"{type(error).__name__}: {error}"})
        return []
    return followed.rows_of([one["id"] for one in listed])
