"""``python -m shop.pages``: what pages show while customers buy, and prices, stock and products change."""

from shop import catalogue
from shop.celery_app import app

IN_STOCK = {"stock": {"$gt": 0}}


def call(task: str, *args, **kwargs):
    """Run one of the recommender's tasks, and wait for its result."""
    return app.tasks[f"recommender.{task}"].delay(*args, **kwargs).get(timeout=60)


def page(what: str, **request) -> None:
    """Print a list, each product with its price."""
    request = {"filter": IN_STOCK, "limit": 3, **request}
    listed = call("recommendations", "products", **request)
    shown = "  ".join(f"{one['id']} {one['attributes']['price']:.2f}" for one in listed)
    print(f"{what:32} {shown}".rstrip())


def change(product: str, **attributes) -> None:
    """Change attributes of a product; its text stays."""
    call("patch", {"collection": "products", "id": product, "attributes": attributes})


def main() -> None:
    page("home page")
    page("home page, kitchen", filter={**IN_STOCK, "category": "kitchen"})
    call("record", {"collection": "products", "user": "ann", "item": "p3", "kind": "buy"})
    page("home page of ann, who bought p3", user="ann")
    change("p5", price=99.0)
    page("product page of p3, new price", item="p3")
    change("p5", stock=0)
    page("product page of p3, sold out", item="p3")
    call("delete", {"collection": "products", "id": "p1"})
    page("running, without p1", filter={**IN_STOCK, "category": "running"})
    grinder = {"title": "Coffee grinder for espresso", "description": "Grinds beans for an espresso machine"}
    new = {"price": 79.0, "category": "kitchen", "stock": 2}
    catalogue.save({"id": "p2", "title": "Coffee grinder", "price": 79.0})
    call("ingest", {"collection": "products", "id": "p2", "fields": grinder, "attributes": new})
    page("product page of p3, p2 changed", item="p3")


if __name__ == "__main__":
    main()
