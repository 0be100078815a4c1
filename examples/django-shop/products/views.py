"""The page of a product."""

from django.shortcuts import get_object_or_404, render

from products.models import Product


def product_page(request, pk):
    shown = {"product": get_object_or_404(Product, pk=pk), "in_stock": {"stock": {"$gt": 0}}}
    return render(request, "products/page.html", shown)
