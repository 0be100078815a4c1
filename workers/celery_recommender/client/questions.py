"""Questions to the owners, put as Celery tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from celery_recommender.broker.redis.embedded import redis_url
from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.client.connected import Connected
from recommender_engine.errors import ConfigurationError

if TYPE_CHECKING:
    from celery import Celery
    from kombu.entity import Queue

_ASK_AGAIN = {"max_retries": 5, "interval_start": 0.0, "interval_step": 0.2, "interval_max": 0.5}  # seconds


class Questions(Connected):
    """Asks the owner of a partition, and waits for its answer."""

    def search(
        self,
        text: str,
        collection: str = "default",
        limit: int = 10,
        *,
        offset: int = 0,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 (the name of the argument is public)
        timeout_s: float = 30.0,
    ) -> list[dict[str, Any]]:
        """Items for a text by meaning and words, best first; see ``recommender.search``.

        Args:
            text: the question.
            collection: where to search.
            limit: how many, at most 100.
            offset: hits that are left out before; with ``limit`` at most 1,000.
            filter: only items with such attributes, like ``{"category": "mugs", "price": {"$lt": 20}}``.
            timeout_s: how long to wait for the owner.
        """
        passing = {} if filter is None else {"filter": dict(filter)}
        found: list[dict[str, Any]] = self.ask(
            "recommender.search",
            text,
            collection=collection,
            limit=limit,
            offset=offset,
            timeout_s=timeout_s,
            **passing,
        )
        return found

    def themes(
        self, collection: str = "default", *, last: int | None = None, members: bool = False, timeout_s: float = 600.0
    ) -> dict[str, Any] | None:
        """What the items of a collection are about; see ``recommender.themes``.

        Args:
            collection: whose items; the result is ``None`` when there is no such collection.
            last: the newest so many items only; 100,000 by default.
            members: with the ids of all items of each theme.
            timeout_s: how long to wait; 100,000 items take minutes.
        """
        found: dict[str, Any] | None = self.ask(
            "recommender.themes", collection=collection, last=last, members=members, timeout_s=timeout_s
        )
        return found

    def incidents(self, collection: str | None = None, *, timeout_s: float = 30.0) -> list[dict[str, Any]]:
        """Groups that grow out of their own baseline now, the oldest first; see ``recommender.incidents``.

        Args:
            collection: whose incidents; by default those of all collections of the home partition.
            timeout_s: how long to wait for the owner.
        """
        found: list[dict[str, Any]] = self.ask("recommender.incidents", collection=collection, timeout_s=timeout_s)
        return found

    def recommendations(
        self, collection: str = "default", *, timeout_s: float = 30.0, **request: Any
    ) -> list[dict[str, Any]] | None:
        """Recommendations from text and behaviour, best first; see ``recommender.recommendations``.

        Args:
            collection: where the items are.
            timeout_s: how long to wait for the owner.
            request: ``item``, ``text``, ``vector`` or ``like``; ``user`` or ``session``; ``filter`` and so on.

        Returns:
            ``None`` when the item that the request names is not there.
        """
        listed: list[dict[str, Any]] | None = self.ask(
            "recommender.recommendations", collection=collection, timeout_s=timeout_s, **request
        )
        return listed

    def list_items(
        self,
        collection: str = "default",
        bands: Sequence[str] | None = None,
        order: str = "arrival",
        *,
        descending: bool = True,
        after: str | None = None,
        limit: int = 50,
        text: str | None = None,
        timeout_s: float = 30.0,
    ) -> dict[str, Any] | None:
        """Items of a collection as they stand now; see ``recommender.list``.

        Args:
            collection: whose items; the result is ``None`` when there is no such collection.
            bands: in which they stand: ``new``, ``similar``, ``review``, ``duplicate``; by default all.
            order: ``arrival``, or ``probability`` of the verdicts.
            descending: the latest, or the most probable, first.
            after: ``next`` of the page before.
            limit: how many at most, up to 200.
            text: only items that have each word of it.
            timeout_s: how long to wait for the owner.
        """
        found: dict[str, Any] | None = self.ask(
            "recommender.list",
            collection=collection,
            bands=None if bands is None else list(bands),
            order=order,
            descending=descending,
            after=after,
            limit=limit,
            text=text,
            timeout_s=timeout_s,
        )
        return found

    def review(
        self,
        collection: str = "default",
        order: str = "worth",
        *,
        after: str | None = None,
        limit: int = 20,
        timeout_s: float = 30.0,
    ) -> dict[str, Any] | None:
        """Pairs that want a person's answer, by ``worth``, ``probability`` or ``arrival``; see ``recommender.review``.

        Args:
            collection: whose pairs; the result is ``None`` when there is no such collection.
            order: of the pairs.
            after: ``next`` of the page before.
            limit: how many at most, up to 100.
            timeout_s: how long to wait for the owner.
        """
        found: dict[str, Any] | None = self.ask(
            "recommender.review", collection=collection, order=order, after=after, limit=limit, timeout_s=timeout_s
        )
        return found

    def group(
        self,
        collection: str,
        item_id: str,
        *,
        after: str | None = None,
        limit: int = 50,
        timeout_s: float = 30.0,
    ) -> dict[str, Any] | None:
        """The group of an item with its members, the earliest first; see ``recommender.group``.

        Args:
            collection: of the item.
            item_id: one of the members; the result is ``None`` when it is not there.
            after: ``next`` of the page before.
            limit: how many members at most, up to 200.
            timeout_s: how long to wait for the owner.
        """
        found: dict[str, Any] | None = self.ask(
            "recommender.group", item_id, collection=collection, after=after, limit=limit, timeout_s=timeout_s
        )
        return found

    def preview(
        self,
        collection: str = "default",
        *,
        duplicate_from: float | None = None,
        review_from: float | None = None,
        target_precision: float | None = None,
        timeout_s: float = 30.0,
    ) -> dict[str, Any] | None:
        """How many items would stand in each band, by stated probabilities alone; see ``recommender.preview``.

        Args:
            collection: its name; the result is ``None`` when there is no such collection.
            duplicate_from: probability from which an item would be a duplicate; by default none moves there.
            review_from: probability from which an item would be for review; by default as now.
            target_precision: instead of ``duplicate_from``: the border that this setting would give.
            timeout_s: how long to wait for the owner.
        """
        found: dict[str, Any] | None = self.ask(
            "recommender.preview",
            collection=collection,
            duplicate_from=duplicate_from,
            review_from=review_from,
            target_precision=target_precision,
            timeout_s=timeout_s,
        )
        return found

    def overview(self, *, timeout_s: float = 30.0) -> dict[str, Any]:
        """Counts of each collection of all partitions, by name; see ``recommender.overview``.

        Args:
            timeout_s: how long to wait for the owner of each partition.

        Returns:
            ``{"collections": [...]}``, each with ``name``, ``partition``, ``items``, ``bands``, ``groups``,
            ``answers``, ``review_backlog`` and ``rates``.
        """
        found: dict[str, dict[str, Any]] = {}
        for partition in self._settings.all_partitions:
            for one in self._overviewed(partition, timeout_s):
                here = self.partitions.routing.partition_of(one["name"]) == partition
                if here or one["name"] not in found:  # while one moves, parts of it are in two
                    found[one["name"]] = {**one, "partition": partition}
        return {"collections": [found[name] for name in sorted(found)]}

    def _overviewed(self, partition: str, timeout_s: float) -> Iterator[dict[str, Any]]:
        page: dict[str, Any] = {"next": None}
        while True:
            page = self._ask_partition(partition, "recommender.overview", {"after": page["next"]}, timeout_s)
            yield from page["collections"]
            if page["next"] is None:
                return

    def answers(
        self,
        collection: str | None = None,
        *,
        after: str | None = None,
        limit: int = 50,
        timeout_s: float = 30.0,
    ) -> dict[str, Any]:
        """Answers of people, the newest first; see ``recommender.answers``.

        Args:
            collection: whose; by default those of all collections of all partitions.
            after: ``next`` of the page before.
            limit: how many at most, up to 500.
            timeout_s: how long to wait for the owner of each partition.

        Returns:
            ``{"answers": [...], "next": ...}``, each answer with ``collection``, ``item_id``, ``other_id``, ``answer``,
            ``by``, ``at_ms``, ``probability`` and ``number``.
        """
        if collection is not None:
            page: dict[str, Any] = self.ask(
                "recommender.answers", collection=collection, after=after, limit=limit, timeout_s=timeout_s
            )
            return page
        from celery_recommender.broker.routing.joined_pages import page_of_all  # few producers list answers

        return page_of_all(
            self._settings.all_partitions,
            after,
            limit,
            lambda partition, behind: self._ask_partition(
                partition, "recommender.answers", {"collection": None, "after": behind, "limit": limit}, timeout_s
            ),
        )

    def hits(
        self, collection: str = "default", *, days: int = 28, timeout_s: float = 30.0
    ) -> list[dict[str, Any]] | None:
        """Hit rates of the lists that were shown, by scenario and arm; see ``recommender.hits``.

        Args:
            collection: whose lists; the result is ``None`` when there is no such collection.
            days: lists of so many days, today included, 1 to 90.
            timeout_s: how long to wait for the owner.
        """
        found: list[dict[str, Any]] | None = self.ask(
            "recommender.hits", collection=collection, days=days, timeout_s=timeout_s
        )
        return found

    def ask(
        self, question: str, *args: Any, collection: str | None = None, timeout_s: float = 30.0, **options: Any
    ) -> Any:
        """Put a question to the owner, as a Celery task, and wait for its answer.

        Args:
            question: name of the task, like ``recommender.get``.
            args: its arguments.
            collection: that it is about, if it is about one; it is an argument too.
            timeout_s: how long to wait.
            options: other arguments, by name.

        Raises:
            ConfigurationError: results are disabled.
            InvalidCommand: the owner refuses the question.
            RedisError: the server does not answer.
            TimeoutError: no answer came.
        """
        about = {} if collection is None else {"collection": collection}
        partition = self.partitions.routing.partition_of(collection)
        return self._ask_partition(partition, question, {**about, **options}, timeout_s, args)

    def _ask_partition(
        self, partition: str, question: str, options: Mapping[str, Any], timeout_s: float, args: Sequence[Any] = ()
    ) -> Any:
        from celery.exceptions import TimeoutError as CeleryTimeoutError
        from kombu.exceptions import OperationalError

        queue = _queue(PartitionKeys.of(partition).queue)
        try:
            sent = self._app.send_task(question, args, dict(options), queue=queue, exchange="", expires=timeout_s)
            return sent.get(timeout=timeout_s)
        except CeleryTimeoutError:
            raise TimeoutError(f"the owner did not answer within {timeout_s} s") from None
        except OperationalError as error:
            raise RedisConnectionError(str(error)) from error
        except (RedisConnectionError, RedisTimeoutError, RuntimeError) as error:
            # When its tries are over, Celery raises the last error of the connection, or a RuntimeError from it.
            lost = error.__cause__ if isinstance(error, RuntimeError) else error
            if not isinstance(lost, (RedisConnectionError, RedisTimeoutError, OSError)):
                raise
            if (app := self.__dict__.pop("_app", None)) is not None:  # its connection for results is not opened again
                app.close()
            raise RedisConnectionError(f"the server does not answer: {lost}") from error

    @cached_property
    def _app(self) -> Celery:
        """What sends questions; Celery is imported at the first one."""
        from celery_recommender.plain_app import app_with_results

        if self._settings.result_backend == "disabled":
            raise ConfigurationError("RECOMMENDER_RESULT_BACKEND='disabled': answers come through the result backend")
        app = app_with_results(self._settings, redis_url(self._settings))
        app.conf.result_backend_transport_options["retry_policy"] = _ASK_AGAIN
        return app

    def close(self) -> None:
        """Close the connections."""
        if "_app" in self.__dict__:
            self._app.close()
        super().close()


def _queue(name: str) -> Queue:
    from kombu.entity import Queue

    return Queue(name, routing_key=name)  # type: ignore[no-untyped-call]
