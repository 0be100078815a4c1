"""``recommender web``."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import click

from celery_recommender.cli.asking import named_server
from celery_recommender.cli.common import load_settings, out, printable
from celery_recommender.ending import leave_it_to_others
from celery_recommender.logs import begin_logs, configure_logs
from celery_recommender.settings import Settings
from recommender_engine.errors import ConfigurationError
from recommender_engine.extras import install_command

_NEEDED = ("argon2", "fastapi", "jinja2", "python_multipart", "uvicorn")


@click.group(invoke_without_command=True)
@click.option("--host", metavar="ADDRESS", help="Address to listen on.  [default: $RECOMMENDER_WEB_HOST or 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port.  [default: $RECOMMENDER_WEB_PORT or 8080]")
@click.pass_context
def web(context: click.Context, host: str | None, port: int | None) -> None:
    """Serve the page: overview, review by keyboard, live feed, search, answers, dead letters.

    It keeps nothing of its own and may be started any number of times. On a loopback address it is open to everybody
    on this machine; any other needs users or a proxy: docs/guide/web.md.

    \b
    recommender web                                   http://127.0.0.1:8080/
    recommender web user add jo --role answer         asks for a password
    recommender web user list
    """
    require_libraries()
    if context.invoked_subcommand is not None:
        return
    from celery_recommender.web.serving import serve

    begin_logs()
    settings = load_settings(web_host=host, web_port=port)
    configure_logs(settings)
    leave_it_to_others()
    serve(named_server(settings))


@web.group()
def user() -> None:
    """Add, list and remove users of the page, in the file that RECOMMENDER_WEB_USERS names."""


@user.command()
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["look", "answer", "configure"]),
    default="answer",
    show_default=True,
    help="What the user may do: each includes those before it.",
)
@click.option("--collection", "collections", multiple=True, help="Only this collection; may be repeated.")
@click.option("--key", "for_program", is_flag=True, help="For a program: print a key for the HTTP door, no password.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
def add(name: str, role: str, collections: tuple[str, ...], *, for_program: bool, password_stdin: bool) -> None:
    """Add a user, or replace the one of this name."""
    from celery_recommender.web.security.users import (
        Role,
        User,
        UsersFile,
        checked_name,
        hashed,
        hashed_key,
        new_key,
    )

    checked_name(name)
    path = _users()
    user = User(role=Role(role), collections=collections)
    if for_program:
        key = new_key()
        UsersFile(path).put(name, user.model_copy(update={"key": hashed_key(key)}))
        out.print(printable(f"{name} may {role} ({path}); its key, which is shown this once:"))
        click.echo(key)
        return
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    UsersFile(path).put(name, user.model_copy(update={"password": hashed(password)}))
    out.print(printable(f"{name} may {role} ({path})"))


@user.command("list")
def list_() -> None:
    """Show the users."""
    from celery_recommender.web.security.users import UsersFile

    for name, one in UsersFile(_users()).all().items():
        seen = ", ".join(one.collections) or "all collections"
        out.print(printable(f"{name}  {one.role}  {seen}"))


@user.command()
@click.argument("name")
def remove(name: str) -> None:
    """Remove a user; sessions of that user end at once."""
    from celery_recommender.web.security.users import UsersFile

    if not UsersFile(_users()).remove(name):
        raise click.ClickException(f"there is no user {name!r}")
    out.print(printable(f"{name} is removed"))


def _users() -> Path:
    settings: Settings = load_settings()
    if settings.web_users is None:
        raise ConfigurationError("RECOMMENDER_WEB_USERS is not set: set it to the file for the users")
    return Path(os.path.abspath(settings.web_users))  # noqa: PTH100 (a link to the file stays one)


def require_libraries() -> None:
    """See to it that the page can be served.

    Raises:
        ConfigurationError: what it needs is not installed.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigurationError(f"the page needs {', '.join(missing)}: {install_command('web')}")
