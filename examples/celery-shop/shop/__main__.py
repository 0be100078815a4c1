"""``python -m shop``: publish five products, then print what the shop knows about them."""

from celery_recommender import Client
from shop import table
from shop.tasks import publish_product

PRODUCTS = (
    ("p1", "Trail running shoes", "Light shoes with a deep tread for muddy forest paths", 89.0, "running"),
    ("p2", "Road running shoes", "Cushioned shoes for long runs on asphalt", 99.0, "running"),
    ("p3", "Espresso machine", "Fifteen bar pump, steam wand and a tank of two litres", 249.0, "kitchen"),
    ("p4", "Trail running shoes!", "Light shoes with a deep tread, for muddy forest paths", 84.0, "running"),
    ("p5", "Espresso machine mini", "Pump and steam wand in a small machine for espresso", 119.0, "kitchen"),
)

# Lists of all products are told when they change. In earnest once a minute is enough.
PUSH = {"items": True, "min_interval_seconds": 1}


def main() -> None:
    Client().send("collection.configured", {"collection": "products", "settings": {"push": PUSH}})
    for (
        id_,
        title,
        description,
        price,
        category,
    ) in PRODUCTS:  # one after the other: the first of two twins is the original
        attributes = {"price": price, "category": category, "stock": 5}
        product = {"id": id_, "title": title, "description": description, **attributes}
        publish_product.delay(product).get(timeout=60)
    table.main()


if __name__ == "__main__":
    main()
