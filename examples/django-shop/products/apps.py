"""Which rows are items."""

from django.apps import AppConfig
from django.db.models.signals import m2m_changed


class ProductsConfig(AppConfig):
    name = "products"

    def ready(self):
        from celery_recommender.django import enqueue, follow
        from products.models import Product

        follow(Product, item_of, collection="products")

        def tags_changed(instance, action, **kwargs):
            if action.startswith("post_"):
                enqueue(instance)

        m2m_changed.connect(tags_changed, sender=Product.tags.through, weak=False)


def item_of(product):
    """The item of a product; none, and so deleted, while it is not published."""
    if not product.published:
        return None
    return {
        "fields": {"name": product.name, "description": product.description},
        "attributes": {
            "price": product.price,
            "stock": product.stock,
            "tags": [tag.name for tag in product.tags.all()],
        },
    }
