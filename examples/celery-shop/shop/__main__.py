"""``python -m shop``: publish five products, then print what the shop knows about them."""

import time

from shop import catalogue
from shop.tasks import publish_product

PRODUCTS = (
    ("p1", "Trail running shoes", "Light shoes with a deep tread for muddy forest paths", 89.0, "running"),
    ("p2", "Road running shoes", "Cushioned shoes for long runs on asphalt", 99.0, "running"),
    ("p3", "Espresso machine", "Fifteen bar pump, steam wand and a tank of two litres", 249.0, "kitchen"),
    ("p4", "Trail running shoes!", "Light shoes with a deep tread, for muddy forest paths", 84.0, "running"),
    ("p5", "Espresso machine mini", "Pump and steam wand in a small machine for espresso", 119.0, "kitchen"),
)


def main() -> None:
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
    deadline = time.monotonic() + 30
    while any(product["ids"] is None for product in catalogue.everything()) and time.monotonic() < deadline:
        time.sleep(0.1)  # the events come by the shop's own queue, behind the results
    for product in catalogue.everything():
        remark = f"same as {product['duplicate_of']}" if product["duplicate_of"] else ""
        similar = " ".join(product["ids"] or ())
        print(f"{product['id']}  {product['state']:7}  {product['title']:22}  similar: {similar:9}  {remark}".rstrip())


if __name__ == "__main__":
    main()
