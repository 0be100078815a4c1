"""Which models are followed, and what is written when one of their rows is saved or deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.db import connections, models, transaction
from django.db.models.signals import post_delete, post_init, post_save

from celery_recommender.broker.commands.encoding import command_fields
from celery_recommender.django.models import PendingCommand
from celery_recommender.django.sending import send_soon
from recommender_engine.errors import InvalidCommand
from recommender_engine.event_log import event_log
from recommender_engine.items.commands import parse_command
from recommender_engine.items.limits import MAX_VERSION

log = event_log(__name__)

_BLOCK = 200
_LOADED = "_celery_recommender_loaded"
_UPSERT, _DELETE = "item.upsert", "item.delete"

ToItem = Callable[[Any], Mapping[str, Any] | None]


@dataclass(frozen=True)
class Followed:
    """A model whose rows are items.

    Attributes:
        model: the model.
        item: fields of the item of a row; ``None``: the row is not to be found.
        collection: of the items.
        id_field: the field of the row that is the id; for finding rows by the ids of a list.
    """

    model: type[models.Model]
    item: ToItem
    collection: str
    id_field: str

    def item_id(self, row: models.Model) -> str:
        """Id of the item of a row."""
        return str(getattr(row, self.id_field))

    def rows_of(self, ids: list[str]) -> list[models.Model]:
        """The rows of items, in their order; without those that are gone."""
        found = {self.item_id(row): row for row in self.model._default_manager.filter(**{f"{self.id_field}__in": ids})}
        return [found[one] for one in ids if one in found]

    def command(self, row: models.Model) -> tuple[str, dict[str, Any]]:
        """Type and data of the command that makes the item be as the row is."""
        fields = self.item(row)
        if fields is None:
            return _DELETE, self.key_of(row)
        return _UPSERT, {**fields, **self.key_of(row)}

    def key_of(self, row: models.Model) -> dict[str, str]:
        """Id and collection of the item of a row."""
        return {"id": self.item_id(row), "collection": self.collection}

    def enqueue_all(self, using: str) -> Iterator[int]:
        """Write commands for all rows, a block at a time; yields the number of rows of each.

        A block is read and written in one transaction that holds its rows, so that what was read is no older than
        what a save beside it writes.
        """
        rows = self.model._default_manager.using(using)
        for keys in _blocks(rows.order_by("pk").values_list("pk", flat=True).iterator()):
            with transaction.atomic(using=using):
                held = rows.select_for_update(of=("self",)) if _can_hold(using) else rows
                commands = [pending for row in held.filter(pk__in=keys) if (pending := _pending(self, row))]
                PendingCommand.objects.using(using).bulk_create(commands)
            yield len(commands)


_followed: dict[type[models.Model], Followed] = {}


def follow(
    model: type[models.Model],
    item: ToItem,
    *,
    collection: str = "default",
    id_field: str = "pk",
) -> None:
    """Keep the items of a collection as the rows of a model are. Call it in ``ready()`` of your app's configuration.

    Each save or deletion of a row writes a command into the app's table, in the same transaction; it is sent when that
    is committed, or later if the server does not answer. Saves never fail for it. ``bulk_create`` and ``update`` of a
    query set send no signals: call ``enqueue`` for their rows, or ``manage.py recommender_sync --all``.

    Args:
        model: the model.
        item: fields of the item of a row, as ``{"fields": {"name": row.name}, "attributes": {"price": row.price}}``, in
            values of the database; ``None`` for a row that is not to be found, such as a draft.
        collection: of the items.
        id_field: the field whose value is the id of the item.
    """
    _followed[model] = Followed(model, item, collection, id_field)
    for signal, receiver in ((post_init, _loaded), (post_save, _saved), (post_delete, _deleted)):
        signal.connect(receiver, dispatch_uid=f"celery_recommender {receiver.__name__}")


def enqueue(row: models.Model) -> None:
    """Send a row as it is now: for changes that send no signal of its own, such as those of related rows.

    Raises:
        LookupError: its model is not followed.
        InvalidCommand: the item is none; the error names the field.
    """
    _write(*followed_by(type(row)).command(row), using=row._state.db or "default")


def followed_by(model: type[models.Model] | str) -> Followed:
    """What is followed, by the model or its label.

    Raises:
        LookupError: it is not followed.
    """
    if isinstance(model, str):
        found = next((one for one in _followed.values() if one.model._meta.label == model), None)
    else:
        found = _followed_by(model)
    if found is None:
        raise LookupError(f"{model if isinstance(model, str) else model.__name__!r} is not followed")
    return found


def followed_models() -> list[Followed]:
    """All that is followed, by the label of the model."""
    return sorted(_followed.values(), key=lambda one: one.model._meta.label)


def _saved(sender: type[models.Model], instance: models.Model, using: str, *, raw: bool = False, **_: Any) -> None:
    followed = None if raw else _followed_by(sender)  # raw: of a fixture; what the row refers to may not be there yet
    if followed is None:
        return
    before = instance.__dict__.get(_LOADED, {}).get(followed.id_field)
    if before not in {None, followed.item_id(instance)}:
        _write(_DELETE, {"id": before, "collection": followed.collection}, using=using)
    instance.__dict__[_LOADED] = {followed.id_field: followed.item_id(instance)}
    if (pending := _pending(followed, instance)) is not None:
        _keep(pending, using)


def _loaded(sender: type[models.Model], instance: models.Model, **_: Any) -> None:
    """Remember the id that the row has in the database: an item whose id changes is another item."""
    followed = _followed_by(sender)
    if followed is not None and followed.id_field in instance.__dict__ and instance.pk is not None:
        instance.__dict__[_LOADED] = {followed.id_field: followed.item_id(instance)}


def _deleted(sender: type[models.Model], instance: models.Model, using: str, **_: Any) -> None:
    followed = _followed_by(sender)
    if followed is not None:
        _write(_DELETE, followed.key_of(instance), using=using)


def _followed_by(model: type[models.Model]) -> Followed | None:
    """What is followed: the model, or one that it is a proxy or a child of."""
    return next((_followed[one] for one in model.__mro__ if one in _followed), None)


def _pending(followed: Followed, row: models.Model) -> PendingCommand | None:
    """The command of a row; ``None`` for one that cannot be an item: it is a row all the same."""
    try:
        type_, data = followed.command(row)
        return PendingCommand(type=type_, data=_text(type_, data))
    except InvalidCommand as error:
        log.error("django.no_item", extra={"row": f"{row._meta.label} {row.pk}", "error": str(error)})
        return None


def _write(type_: str, data: dict[str, Any], using: str) -> None:
    _keep(PendingCommand(type=type_, data=_text(type_, data)), using)


def _keep(pending: PendingCommand, using: str) -> None:
    pending.save(using=using)
    transaction.on_commit(lambda: send_soon(using), using=using, robust=True)


def _text(type_: str, data: Mapping[str, Any]) -> str:
    """The data as JSON; refuses what cannot be sent, or would be rejected."""
    text = str(command_fields(type_, data)["data"])
    parse_command(type_, text.encode())
    command_fields(type_, {**data, "version": MAX_VERSION})  # with it, it must not be too large
    return text


def _can_hold(using: str) -> bool:
    return bool(connections[using].features.has_select_for_update_of)


def _blocks(keys: Iterator[Any]) -> Iterator[list[Any]]:
    while block := list(islice(keys, _BLOCK)):
        yield block
