"""One page for each product."""

from django.urls import path
from products.views import product_page

urlpatterns = [path("product/<int:pk>/", product_page)]
