"""The workflows of GitHub: against the schema of its workflows, the Makefile and the files that they name."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github/workflows"
WORKFLOWS: dict[str, dict[str, Any]] = {path.name: yaml.safe_load(path.read_text()) for path in FOLDER.glob("*.yml")}
STEPS = [step for workflow in WORKFLOWS.values() for job in workflow["jobs"].values() for step in job.get("steps", ())]


def test_they_follow_the_schema_of_workflows() -> None:
    assert WORKFLOWS.keys() == {"ci.yml", "release.yml"}
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run([*command, *map(str, FOLDER.glob("*.yml"))], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_they_run_what_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    scripts = [step["run"] for step in STEPS if "run" in step]
    made = {target for script in scripts for target in re.findall(r"\bmake ([a-z-]+)", script)}
    assert made == {"docs"}
    assert "bash .ci/run" in scripts
    assert made <= targets
    given = [step["with"] for step in STEPS if "with" in step]
    assert [one["file"] for one in given if "file" in one] == ["deploy/Dockerfile"]
    for script in scripts:
        assert subprocess.run(["bash", "-n", "-c", script], capture_output=True, check=False).returncode == 0, script


def test_what_is_published_was_built_and_tried_before() -> None:
    jobs = WORKFLOWS["release.yml"]["jobs"]
    publishing = {name for name in jobs if name.startswith("publish-")}
    assert {tuple(jobs[name]["needs"]) for name in publishing} == {
        tuple(name for name in jobs if name not in publishing)
    }
    kept = {step["with"]["name"] for step in STEPS if step.get("uses", "").startswith("actions/upload-artifact")}
    taken = {step["with"]["name"] for step in STEPS if step.get("uses", "").startswith("actions/download-artifact")}
    assert taken
    assert taken <= kept


def test_a_job_has_no_more_rights_than_it_uses() -> None:
    for workflow in WORKFLOWS.values():
        assert workflow["permissions"] == {"contents": "read"}
        for name, job in workflow["jobs"].items():
            assert not job.get("permissions") or name.startswith("publish-"), name
    assert not [step for step in STEPS if "secrets." in str(step)]
