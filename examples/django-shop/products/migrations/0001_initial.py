"""The tables."""

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    operations = [  # noqa: RUF012
        migrations.CreateModel(
            name="Tag",
            fields=[("id", models.BigAutoField(primary_key=True)), ("name", models.CharField(max_length=50))],
        ),
        migrations.CreateModel(
            name="Product",
            fields=[
                ("id", models.BigAutoField(primary_key=True)),
                ("name", models.CharField(max_length=200)),
                ("description", models.TextField(blank=True)),
                ("price", models.DecimalField(max_digits=8, decimal_places=2)),
                ("stock", models.IntegerField(default=0)),
                ("published", models.BooleanField(default=True)),
                ("tags", models.ManyToManyField(to="products.tag")),
            ],
        ),
    ]
