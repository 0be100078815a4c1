"""The Django app in the example's project: a real database, a real server, a real worker."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from celery_recommender.client import Client
from celery_recommender.settings import Settings
from recommender_engine.items import START
from tests.integration.conftest import Owners
from tests.support.command_line import environment
from tests.support.waiting import wait_until

pytest.importorskip("django")
pytestmark = [pytest.mark.server, pytest.mark.parametrize("server", ["embedded"], indirect=True)]

EXAMPLE = Path(__file__).parents[2] / "examples/django-shop"
UPSERTED, DELETED = "recommender.item.processed.v1", "recommender.item.deleted.v1"
NOWHERE = "redis://127.0.0.1:1/0"


_SHELL = """
import contextlib, io, json, sys, traceback
import django
django.setup()
from django.core.management import call_command
for line in sys.stdin:
    said, fails = io.StringIO(), False
    with contextlib.redirect_stdout(said):
        try:
            exec(json.loads(line), {"call_command": call_command})
        except Exception:
            said.write(traceback.format_exc())
            fails = True
    print(json.dumps([fails, said.getvalue()]), flush=True)
"""


class Shell:
    """A process of the project, as a server of it is one: it runs code with the models at hand."""

    def __init__(self, folder: Path, variables: dict[str, str], log: Path) -> None:
        self._log = log
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _SHELL],
                cwd=folder,
                env={**variables, "DJANGO_SETTINGS_MODULE": "mysite.settings"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def run(self, code: str, *, fails: bool = False) -> str:
        """What the code prints and logs."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        before = self._log.stat().st_size
        self._process.stdin.write(json.dumps(code) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        logged = self._log.read_bytes()[before:].decode()
        assert answer, logged
        failed, said = json.loads(answer)
        assert failed == fails, said + logged
        return f"{said}{logged}"

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


class Project:
    """A copy of the example, with its own database.

    Args:
        folder: of the copy.
        settings: with the server that is up.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self._settings = settings
        self._shells: dict[str, Shell] = {}

    def variables(self, server: str = "") -> dict[str, str]:
        given = environment(self._settings)
        paths = f"{given['PYTHONPATH']}{os.pathsep}{self.folder}"
        return given | {"PYTHONPATH": paths, "RECOMMENDER_REDIS_URL": server or given["RECOMMENDER_REDIS_URL"]}

    def manage(self, *arguments: str) -> str:
        """``manage.py ARGUMENT …`` in a process of its own."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=self.folder,
            env=self.variables(),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def run(self, code: str, server: str = "", *, fails: bool = False) -> str:
        """Run code in the process that sends to this server; what it prints."""
        if server not in self._shells:
            log = self.folder / f"shell{len(self._shells)}.log"
            self._shells[server] = Shell(self.folder, self.variables(server), log)
        code = f"from decimal import Decimal\nfrom products.models import *\n{code}"
        return self._shells[server].run(code, fails=fails)

    def sync(self, server: str = "", *, fails: bool = False) -> str:
        return self.run("call_command('recommender_sync')", server, fails=fails)

    def close(self) -> None:
        for shell in self._shells.values():
            shell.close()


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example with an empty database."""
    folder = tmp_path_factory.mktemp("migrated") / "shop"
    shutil.copytree(EXAMPLE, folder)
    Project(folder, Settings(redis_url=NOWHERE, state_dir=folder / "state")).manage("migrate")
    return folder


@pytest.fixture
def project(migrated: Path, tmp_path: Path, settings: Settings) -> Iterator[Project]:
    copied = Project(shutil.copytree(migrated, tmp_path / "shop"), settings)
    yield copied
    copied.close()


def outcomes(client: Client) -> list[tuple[str, str]]:
    """Type and item of each event so far, without revisions."""
    found = [(event["type"], event["data"].get("item_id")) for event in client.events_so_far(START)]
    return [one for one in found if one[0] in {UPSERTED, DELETED}]


def test_items_are_as_the_rows_are(owner_process: Owners, client: Client, project: Project) -> None:
    owner_process().running()
    project.run(
        """
shoes = Product.objects.create(name="Trail running shoes", price=Decimal("89.90"), stock=3)
shoes.tags.add(Tag.objects.create(name="outdoor"))
Product.objects.create(name="Espresso machine", price=Decimal("120.00"), stock=1)
Product.objects.create(name="Draft", price="1", published=False)
road = Product.objects.create(name="Road running shoes", price=75, stock=5)
"""
    )
    wait_until(lambda: client.ask("recommender.get", "4", collection="products") is not None, "the last product")
    shoes = client.ask("recommender.get", "1", collection="products")
    assert shoes["attributes"] == {"price": 89.9, "stock": 3, "tags": ["outdoor"]}
    assert client.ask("recommender.get", "2", collection="products")["attributes"]["price"] == 120
    assert client.ask("recommender.get", "3", collection="products") is None, "a draft is not to be found"

    def page() -> str:
        return project.run(
            'from django.test import Client as Browser\nprint(Browser().get("/product/1/").content.decode())'
        )

    wait_until(lambda: "Road running shoes" in page(), "a page within the time limit of its list")
    assert "Trail running shoes</a>" not in page()

    project.run(
        'Product.objects.filter(name="Road running shoes").first().delete()\nProduct.objects.get(pk=2).delete()'
    )
    wait_until(lambda: client.ask("recommender.get", "4", collection="products") is None, "the product to be gone")
    assert "pending" not in project.run(
        "from celery_recommender.django.models import *\nprint(PendingCommand.objects.all())"
    )


def test_a_save_never_fails_for_a_server_that_is_down(client: Client, project: Project, owner_process: Owners) -> None:
    told = project.run(
        """
from django.db import transaction
first = Product.objects.create(name="Desk lamp", price="10", stock=1)
first.name = "Brass desk lamp"
first.save()
Product.objects.create(name="", price="1")
try:
    with transaction.atomic():
        Product.objects.create(name="never", price="1")
        raise ValueError
except ValueError:
    pass
print("saved", Product.objects.count())
""",
        server=NOWHERE,
    )
    assert "saved 2" in told
    assert "django.no_item" in told, "a row that cannot be an item is a row all the same"
    assert "not everything was sent" in project.sync(NOWHERE, fails=True)
    project.run(
        "from celery_recommender.django.models import PendingCommand as P\n"
        "import json\nP.objects.create(type='item.upsert', data=json.dumps({'id': '9', 'text': 'x' * 300_000}))\n"
        "P.objects.create(type='item.upsert', data='[')",
        server=NOWHERE,
    )
    owner_process().running()
    told = project.sync()
    assert "2 pending commands sent" in told
    assert told.count("django.dropped") == 2, "what can never be sent does not keep the others waiting"
    wait_until(lambda: len(outcomes(client)) == 2, "both commands")
    assert client.ask("recommender.get", "1", collection="products")["text"].startswith("Brass desk lamp")
    page = project.run(
        'from django.test import Client as Browser\nprint(Browser().get("/product/1/").status_code)', server=NOWHERE
    )
    assert "200" in page, "the page is shown without recommendations"


def test_a_late_command_does_not_undo_a_newer_one(client: Client, project: Project, owner_process: Owners) -> None:
    owner_process().running()
    code = """
from celery_recommender.django.models import PendingCommand
product = Product.objects.create(name="old name", price="1")
old = PendingCommand.objects.get()
product.name = "new name"
product.save()
"""
    project.run(code, server=NOWHERE)
    again = "from celery_recommender.django.models import PendingCommand as P\nold = P.objects.order_by('pk').first()\n"
    project.run(f"{again}old.delete()")
    assert "1 pending commands sent" in project.sync()
    project.run(
        f"{again}import json\nP.objects.create(pk=1, type='item.upsert', data=json.dumps("
        "{'id': '1', 'collection': 'products', 'title': 'old name', 'text': 'old name'}))"
    )
    assert "1 pending commands sent" in project.sync()
    wait_until(lambda: len(list(client.events_so_far(START))) == 2, "both outcomes")
    assert client.ask("recommender.get", "1", collection="products")["text"].startswith("new name")


def test_sync_all_sends_every_row(client: Client, project: Project, owner_process: Owners) -> None:
    owner_process().running()
    names = "['', *(f'chair {n}' for n in range(450))]"
    project.run(f"Product.objects.bulk_create([Product(name=name, price=1) for name in {names}])")
    assert outcomes(client) == []
    assert "450 rows of products.Product sent" in project.manage("recommender_sync", "--all")
    wait_until(lambda: len(outcomes(client)) == 450, "all rows")


def test_rows_of_proxies_and_children_and_rows_that_change_their_id(project: Project) -> None:
    told = project.run(
        """
import json
from celery_recommender.django import follow
from celery_recommender.django.models import PendingCommand
from django.db import models
from products.apps import item_of

class Shoe(Product):
    class Meta:
        app_label = "products"
        proxy = True

follow(Product, item_of, collection="products", id_field="name")
Shoe.objects.create(name="old", price=1)
shoe = Shoe.objects.get()
shoe.name = "new"
shoe.save()
shoe.save()
shoe.delete()
print([(one.type, json.loads(one.data)["id"]) for one in PendingCommand.objects.all()])
""",
        server=NOWHERE,
    )
    upsert, delete = "item.upsert", "item.delete"
    assert str([(upsert, "old"), (delete, "old"), (upsert, "new"), (upsert, "new"), (delete, "new")]) in told


def test_versions_of_a_database_that_is_restored_are_no_older(project: Project) -> None:
    told = project.run(
        """
from datetime import UTC, datetime, timedelta
from celery_recommender.django.models import PendingCommand
now = datetime.now(UTC)
last = PendingCommand(pk=10**9, created_at=now)
restored = PendingCommand(pk=1, created_at=now + timedelta(hours=1))
print("later", restored.version > last.version, 0 < last.version < 2**63)
""",
        server=NOWHERE,
    )
    assert "later True True" in told
