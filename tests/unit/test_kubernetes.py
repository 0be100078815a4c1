"""The manifests of deploy/kubernetes: against the schemas of Kubernetes, each other, and the code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry

from celery_recommender.cli import main
from celery_recommender.client import Client
from celery_recommender.owner.telemetry.health import serve_health
from celery_recommender.owner.telemetry.status import Status
from celery_recommender.settings import PREFIX, Settings, variable
from celery_recommender.web.app import create_app
from tests.support.pages import NOWHERE
from tests.support.servers import free_port

BASE = Path(__file__).parents[2] / "deploy/kubernetes/base"
KUSTOMIZATION: dict[str, Any] = yaml.safe_load((BASE / "kustomization.yaml").read_text())
WITH_PROBES = {"recommender-owner": "metrics", "recommender-embed-worker": "metrics", "recommender-web": "http"}
CRDS = ("keda.sh/",)  # whose schemas come with no release of Kubernetes

Document = dict[str, Any]


def _documents() -> list[Document]:
    return [one for name in KUSTOMIZATION["resources"] for one in yaml.safe_load_all((BASE / name).read_text())]


DOCUMENTS = _documents()
WORKLOADS = [one for one in DOCUMENTS if one["kind"] in ("StatefulSet", "Deployment")]
CONFIG: dict[str, str] = dict(
    literal.split("=", 1) for one in KUSTOMIZATION["configMapGenerator"] for literal in one["literals"]
)


def _pod(workload: Document) -> Document:
    pod: Document = workload["spec"]["template"]["spec"]
    return pod


def _container(workload: Document) -> Document:
    (container,) = _pod(workload)["containers"]
    found: Document = container
    return found


def _environment(workload: Document) -> dict[str, str | None]:
    """Variables of the container; ``None`` where a secret has the value."""
    container = _container(workload)
    assert [source["configMapRef"]["name"] for source in container["envFrom"]] == ["recommender"]
    return {**CONFIG, **{one["name"]: one.get("value") for one in container["env"]}}


def test_the_kustomization_lists_every_file() -> None:
    assert {path.name for path in BASE.glob("*.yaml")} == {"kustomization.yaml", *KUSTOMIZATION["resources"]}
    assert KUSTOMIZATION["kind"] == "Kustomization"
    names = [(one["kind"], one["metadata"]["name"]) for one in DOCUMENTS]
    assert len(set(names)) == len(names) == 9


@pytest.mark.parametrize("release", ["1.29", "1.34"])
def test_manifests_are_valid(release: str) -> None:
    checked = [one for one in DOCUMENTS if not one["apiVersion"].startswith(CRDS)]
    assert len(checked) == len(DOCUMENTS) - 1
    for one in checked:
        kubernetes_validate.validate(one, release, strict=True)


def test_a_misspelt_key_is_noticed() -> None:
    broken = yaml.safe_load(yaml.safe_dump(WORKLOADS[0]))
    _container(broken)["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="readinesProbe"):
        kubernetes_validate.validate(broken, "1.29", strict=True)


def test_variables_are_settings_and_accepted() -> None:
    known = {variable(name) for name in Settings.model_fields}
    for workload in WORKLOADS:
        environment = _environment(workload)
        ours = {name: value for name, value in environment.items() if name.startswith(PREFIX)}
        assert set(ours) <= known
        secret = {name for name, value in ours.items() if value is None}
        assert secret == {"RECOMMENDER_REDIS_URL"}
        Settings.from_environment({**ours, "RECOMMENDER_REDIS_URL": "redis://redis:6379/0"}).require_member()


def test_every_workload_has_probes_on_the_port_that_it_serves() -> None:
    assert {workload["metadata"]["name"] for workload in WORKLOADS} == WITH_PROBES.keys()
    assert CONFIG["RECOMMENDER_METRICS_HOST"] == "0.0.0.0"
    for workload in WORKLOADS:
        container, environment = _container(workload), _environment(workload)
        (port,) = container["ports"]
        name = workload["metadata"]["name"]
        assert port["name"] == WITH_PROBES[name]
        served = {"recommender-embed-worker": "EMBED_METRICS_PORT", "recommender-web": "WEB_PORT"}
        assert str(port["containerPort"]) == environment[PREFIX + served.get(name, "METRICS_PORT")]
        probes = {kind: probe["httpGet"] for kind, probe in container.items() if kind.endswith("Probe")}
        assert probes == {
            "startupProbe": {"path": "/livez", "port": port["name"]},
            "livenessProbe": {"path": "/livez", "port": port["name"]},
            "readinessProbe": {"path": "/readyz", "port": port["name"]},
        }


def test_the_page_answers_probes_without_a_user_or_a_name_of_a_host() -> None:
    settings = NOWHERE.replaced(web_host="0.0.0.0", web_users=Path("users"))
    with TestClient(create_app(settings, Client(settings)), base_url="http://10.1.2.3:8080") as pod:
        assert pod.get("/livez").json() == {"live": True}
        unready = pod.get("/readyz")
        assert (unready.status_code, unready.json()["ready"]) == (503, False)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(pod.app.state.service.client.redis, "ping", lambda: True)  # type: ignore[attr-defined]
            assert pod.get("/readyz").json() == {"ready": True}


def test_probes_of_owner_and_embed_workers_ask_paths_that_are_served() -> None:
    from http.client import HTTPConnection

    number = free_port()
    stop = serve_health("127.0.0.1", number, CollectorRegistry(), Status(60))
    try:
        for path in ("/livez", "/readyz"):
            connection = HTTPConnection("127.0.0.1", number, timeout=5)
            connection.request("GET", path)
            assert connection.getresponse().status in (200, 503)
            connection.close()
    finally:
        stop()


def test_selectors_reach_the_pods_they_mean() -> None:
    labels = {one["metadata"]["name"]: one["spec"]["template"]["metadata"]["labels"] for one in WORKLOADS}
    for workload in WORKLOADS:
        assert workload["spec"]["selector"]["matchLabels"].items() <= labels[workload["metadata"]["name"]].items()
    selecting = [one for one in DOCUMENTS if one["kind"] in ("Service", "PodDisruptionBudget")]
    assert [one["metadata"]["name"] for one in selecting] == [
        "recommender-owner",
        "recommender-embed-worker",
        "recommender-web",
    ]
    for found in selecting:
        selector = found["spec"]["selector"]
        assert selector.get("matchLabels", selector).items() <= labels[found["metadata"]["name"]].items()
    (policy,) = [one for one in DOCUMENTS if one["kind"] == "NetworkPolicy"]
    (expression,) = policy["spec"]["podSelector"]["matchExpressions"]
    assert sorted(expression["values"]) == sorted(one[expression["key"]] for one in labels.values())
    (rule,) = policy["spec"]["ingress"]
    assert {port["port"] for port in rule["ports"]} == set(WITH_PROBES.values())


def test_the_owner_is_one_with_volumes_that_its_settings_name() -> None:
    (owner,) = [one for one in WORKLOADS if one["kind"] == "StatefulSet"]
    assert owner["spec"]["replicas"] == 1
    assert owner["spec"]["serviceName"] in {one["metadata"]["name"] for one in DOCUMENTS if one["kind"] == "Service"}
    mounted = {one["mountPath"]: one["name"] for one in _container(owner)["volumeMounts"]}
    claims = {one["metadata"]["name"] for one in owner["spec"]["volumeClaimTemplates"]}
    environment = _environment(owner)
    kept = {mounted[str(environment[name])] for name in ("RECOMMENDER_STATE_DIR", "RECOMMENDER_BACKUP_DIR")}
    assert kept == claims
    assert set(mounted.values()) == claims | {one["name"] for one in _pod(owner)["volumes"]}


def test_pods_may_run_where_security_is_restricted() -> None:
    for workload in WORKLOADS:
        pod, container = _pod(workload), _container(workload)
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001, "as in the image"
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert pod["enableServiceLinks"] is pod["automountServiceAccountToken"] is False
        assert pod["terminationGracePeriodSeconds"] >= 60
        assert container["resources"]["limits"]["memory"]
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
    (namespace,) = [one for one in DOCUMENTS if one["kind"] == "Namespace"]
    assert namespace["metadata"]["name"] == KUSTOMIZATION["namespace"]


def test_containers_call_the_command_line_as_it_is() -> None:
    images = {one["name"] for one in KUSTOMIZATION["images"]}
    for workload in WORKLOADS:
        assert _container(workload)["image"] in images
        result = CliRunner().invoke(main, [*_container(workload)["args"], "--help"])
        assert result.exit_code == 0, result.output


def _keys_of_the_trigger() -> Iterator[str]:
    """Of KEDA's scaler `redis`, by its documentation."""
    for name in ("address", "host", "port", "username", "password"):
        yield from (name, f"{name}FromEnv")
    yield from ("listName", "listLength", "activationListLength", "enableTLS", "unsafeSsl", "databaseIndex")


def test_keda_watches_the_queue_of_the_embed_workers() -> None:
    (scaled,) = [one for one in DOCUMENTS if one["kind"] == "ScaledObject"]
    assert scaled["apiVersion"] == "keda.sh/v1alpha1"
    assert scaled["spec"].keys() <= {
        "scaleTargetRef",
        "minReplicaCount",
        "maxReplicaCount",
        "pollingInterval",
        "cooldownPeriod",
        "triggers",
    }
    named = scaled["spec"]["scaleTargetRef"]["name"]
    (target,) = [one for one in WORKLOADS if one["metadata"]["name"] == named]
    assert _container(target)["args"] == ["embed-worker"]
    assert "replicas" not in target["spec"], "or each apply would undo what KEDA has decided"
    (trigger,) = scaled["spec"]["triggers"]
    assert trigger["type"] == "redis"
    assert trigger["metadata"].keys() <= set(_keys_of_the_trigger())
    assert all(isinstance(value, str) for value in trigger["metadata"].values())
    assert trigger["metadata"]["listName"] == Settings().embed_queue
    read = {value for name, value in trigger["metadata"].items() if name.endswith("FromEnv")}
    assert read <= _environment(target).keys()
    assert str(scaled["spec"]["maxReplicaCount"]) == CONFIG["RECOMMENDER_EMBED_WORKERS"]
    assert scaled["spec"]["minReplicaCount"] >= 1


def test_the_page_creates_the_secret_that_is_read() -> None:
    page = (BASE.parents[2] / "docs/deploy.md").read_text()
    command = re.search(r"create secret generic (\S+)((?:\s|\\|--from-literal=\S+)*)", page)
    assert command
    made = set(re.findall(r"--from-literal=(\w+)=", command[2]))
    (users,) = [one["secret"] for one in _pod(WORKLOADS[-1])["volumes"] if "secret" in one]
    assert f"create secret generic {users['secretName']} --from-file=users=" in page
    assert _environment(WORKLOADS[-1])["RECOMMENDER_WEB_USERS"] == "/etc/recommender/users"
    read = {
        (one["valueFrom"]["secretKeyRef"]["name"], one["valueFrom"]["secretKeyRef"]["key"])
        for workload in WORKLOADS
        for one in _container(workload)["env"]
        if "valueFrom" in one
    }
    assert read == {(command[1], key) for key in made}
