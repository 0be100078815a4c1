"""Output that cannot show every character: a terminal or a pipe that is not UTF-8 ends no command."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from celery_recommender.settings import Settings
from tests.support.command_line import command, environment

TEXT = "Käse ≥ 5 € 🧀 …"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_command_shows_what_it_can_and_escapes_the_rest(encoding: str, tmp_path: Path) -> None:
    program = (
        "import click, sys\n"
        "from celery_recommender.cli import main\n"
        "from celery_recommender.cli.common import err, out, print_json, printable\n"
        "@main.command('say')\n"
        "def say():\n"
        f"    print_json({{'text': {TEXT!r}}})\n"
        f"    out.print(printable({TEXT!r}))\n"
        f"    err.print({TEXT!r})\n"
        f"    raise click.ClickException({TEXT!r})\n"
        "main.get_command = lambda context, name: main.commands[name]\n"
        "main(['say'])\n"
    )
    spoilt = {**environment(Settings(state_dir=tmp_path)), "PYTHONIOENCODING": encoding, "LC_ALL": "C"}
    done = subprocess.run([*command()[:1], "-c", program], env=spoilt, capture_output=True, timeout=60, check=False)
    said, errors = done.stdout.decode(encoding), done.stderr.decode(encoding, errors="replace")
    assert done.returncode == 1, errors
    assert "UnicodeEncodeError" not in errors
    document, _, rest = said.partition("}\n")
    assert json.loads(document + "}") == {"text": TEXT}
    shown = TEXT.encode(encoding, errors="backslashreplace").decode(encoding)
    assert shown in rest
    assert "Error: K" in errors


def test_help_and_doctor_go_through_a_narrow_pipe(tmp_path: Path) -> None:
    spoilt = {**environment(Settings(state_dir=tmp_path / "käse")), "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    for arguments in (["--help"], ["doctor"]):
        done = subprocess.run(command(*arguments), env=spoilt, capture_output=True, text=True, timeout=60, check=False)
        assert "Traceback" not in done.stderr
        assert "Usage" in done.stdout or "state directory" in done.stdout
