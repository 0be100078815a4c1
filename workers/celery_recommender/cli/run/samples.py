"""The files that come with the package, and what is what in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from celery_recommender.records import MappingOptions

SAMPLES = {
    "tickets": MappingOptions(id_field="id", text_fields=("title", "description"), collection="tickets"),
    "products": MappingOptions(
        id_field="id",
        text_fields=("title", "description", "brand"),
        attributes=("category", "price_eur"),
        collection="products",
    ),
}


@contextmanager
def sample_file(name: str) -> Iterator[Path]:
    """One of them, as a file."""
    with resources.as_file(resources.files("celery_recommender.samples") / f"{name}.csv") as path:
        yield path
