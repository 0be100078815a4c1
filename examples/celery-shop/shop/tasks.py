"""The shop's own tasks. They run in its own workers, on its own queue."""

from celery import chain

from shop import catalogue
from shop.celery_app import app


@app.task(bind=True)
def publish_product(self, product):
    """Take a product in, and decide whether to show it once the recommender has its verdict."""
    catalogue.save(product)
    item = {
        "collection": "products",
        "id": product["id"],
        "fields": {"title": product["title"], "description": product["description"]},
        "attributes": {name: product[name] for name in ("price", "category", "stock")},
    }
    raise self.replace(chain(app.tasks["recommender.ingest"].s(item), show_product.s()))


@app.task
def show_product(verdict):
    """The step behind ``ingest`` in the chain: its argument is the outcome, before any event has come."""
    catalogue.show(verdict["item_id"], verdict["duplicate_of"])
    return verdict["canonical_id"]


@app.task
def on_event(event):
    """Called with every event that changes what is shown, since RECOMMENDER_DELIVER_TASK names it: at least once."""
    data = event["data"]
    match event["type"]:
        case "recommender.item.processed.v1" | "recommender.item.revised.v1":
            catalogue.decide(data["item_id"], data["duplicate_of"], event["id"])
        case "recommender.item.patched.v1":
            catalogue.reprice(data["item_id"], data["attributes"].get("price"), event["id"])
        case "recommender.item.deleted.v1":
            catalogue.remove(data["item_id"])
        case "recommender.recommendations.updated.v1" if data["item_id"] is not None:
            catalogue.recommend(data["item_id"], event["id"], [similar["id"] for similar in data["recommendations"]])
