"""``python -m shop.table``: what the shop knows, once its lists are those that the recommender would give now."""

import time

from shop import catalogue
from shop.celery_app import app


def agrees(product: dict) -> bool:
    """Whether the list in the table is the current one, and its verdict known."""
    asked = app.tasks["recommender.recommendations"].delay("products", item=product["id"])
    return product["state"] != "waiting" and product["ids"] == [one["id"] for one in asked.get(timeout=60)]


def main() -> None:
    deadline = time.monotonic() + 30
    while not all(map(agrees, catalogue.everything())) and time.monotonic() < deadline:
        time.sleep(0.2)  # events come by the shop's own queue
    for product in catalogue.everything():
        remark = f"same as {product['duplicate_of']}" if product["duplicate_of"] else ""
        line = f"{product['id']}  {product['state']:7}  {product['title']:22}  {product['price']:6.2f}  "
        print(f"{line}similar: {' '.join(product['ids']):9}  {remark}".rstrip())


if __name__ == "__main__":
    main()
