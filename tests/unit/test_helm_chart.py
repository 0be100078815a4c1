"""The chart of deploy/helm, rendered by Helm itself: valid, and the same as the Kustomize base where both say it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from celery_recommender.settings import Settings, variable
from tests.support.helm import Helm, helm_of
from tests.unit.test_kubernetes import CONFIG, CRDS, DOCUMENTS, WORKLOADS

if importlib.util.find_spec("helm_python") is None:
    pytest.skip("helm-python-sdk has no wheel for this machine", allow_module_level=True)

CHART = Path(__file__).parents[2] / "deploy/helm/celery-recommender"
VALUES: dict[str, Any] = {
    "plain": {},
    "all": {
        "settings": {"RECOMMENDER_LOG_FORMAT": "text", "RECOMMENDER_LEASE_S": 20},
        "image": {"repository": "registry.internal/recommender", "tag": "0.2.0"},
        "owner": {
            "partition": "b",
            "state": {"size": "50Gi", "storageClass": "local"},
            "nodeSelector": {"disk": "ssd"},
        },
        "embedWorker": {"keda": False, "max": 2, "tolerations": [{"key": "gpu", "operator": "Exists"}]},
        "web": {"hosts": "tickets.example.com"},
    },
    "alone": {"embedWorker": {"enabled": False}, "web": {"enabled": False}, "networkPolicy": {"enabled": False}},
}


@pytest.fixture(scope="module")
def helm() -> Iterator[Helm]:
    with helm_of(CHART) as found:
        yield found


def rendered(helm: Helm, values: dict[str, Any], name: str = "recommender") -> list[dict[str, Any]]:
    files = helm.render(values, name)
    manifests = [text for path, text in files.items() if not path.endswith("NOTES.txt")]
    return [one for text in manifests for one in yaml.safe_load_all(text) if one]


def of_kind(documents: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [one for one in documents if one["kind"] == kind]


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_helm_finds_nothing_wrong_with_it(helm: Helm, values: dict[str, Any]) -> None:
    report = helm.lint(values, strict=True, kube_version="v1.30.0")
    assert report["errors"] == []
    assert [one for one in report["messages"] if one["severity"] > 1] == []


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("release", ["1.29", "1.34"])
def test_what_it_renders_is_valid(helm: Helm, values: dict[str, Any], release: str) -> None:
    for one in rendered(helm, values):
        if not one["apiVersion"].startswith(CRDS):
            kubernetes_validate.validate(one, release, strict=True)


def test_by_default_its_workloads_are_those_of_the_base(helm: Helm) -> None:
    documents = rendered(helm, {})
    found = {one["metadata"]["name"]: one for one in documents if one["kind"] in ("StatefulSet", "Deployment")}
    assert found.keys() == {one["metadata"]["name"] for one in WORKLOADS}
    for workload in WORKLOADS:
        mine = found[workload["metadata"]["name"]]
        pod, theirs = (one["spec"]["template"]["spec"] for one in (mine, workload))
        (container,), (expected,) = pod["containers"], theirs["containers"]
        assert container.pop("imagePullPolicy") == "IfNotPresent"
        assert container.pop("image") == f"{expected['image']}:0.1.0"
        assert container == {name: value for name, value in expected.items() if name != "image"}
        assert {**pod, "containers": []} == {**theirs, "containers": []}
        for part in ("replicas", "serviceName", "volumeClaimTemplates"):
            assert mine["spec"].get(part) == workload["spec"].get(part), part
    (config,) = of_kind(documents, "ConfigMap")
    assert config["data"] == CONFIG
    for kind in ("ScaledObject", "PodDisruptionBudget", "NetworkPolicy", "Service"):
        assert [one["spec"] for one in of_kind(documents, kind)] == [one["spec"] for one in of_kind(DOCUMENTS, kind)]


def test_values_reach_what_they_name(helm: Helm) -> None:
    documents = rendered(helm, VALUES["all"], name="b")
    (config,) = of_kind(documents, "ConfigMap")
    settings = {name: value for name, value in config["data"].items() if name.startswith("RECOMMENDER_")}
    assert set(settings) <= {variable(name) for name in Settings.model_fields}
    read = Settings.from_environment(settings)
    assert (read.partition, read.log_format, read.lease_s, read.embed_workers) == ("b", "text", 20.0, 2)
    (owner,) = of_kind(documents, "StatefulSet")
    assert owner["metadata"]["name"] == "b-owner"
    assert owner["spec"]["template"]["spec"]["nodeSelector"] == {"disk": "ssd"}
    assert owner["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"] == "local"
    embed, web = of_kind(documents, "Deployment")
    assert embed["spec"]["replicas"] == 2
    assert embed["spec"]["template"]["spec"]["tolerations"] == [{"key": "gpu", "operator": "Exists"}]
    assert of_kind(documents, "ScaledObject") == []
    (container,) = web["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.internal/recommender:0.2.0"
    assert {"name": "RECOMMENDER_WEB_HOSTS", "value": "tickets.example.com"} in container["env"]
    alone = rendered(helm, VALUES["alone"])
    assert sorted(one["kind"] for one in alone) == ["ConfigMap", "Service", "StatefulSet"]
    (config,) = of_kind(alone, "ConfigMap")
    assert config["data"]["RECOMMENDER_EMBED_WORKERS"] == "0"


@pytest.mark.parametrize(
    "wrong", [{"ownr": {}}, {"owner": {"partition": "a b"}}, {"settings": {"LOG": "x"}}, {"embedWorker": {"max": 0}}]
)
def test_a_wrong_value_is_refused(helm: Helm, wrong: dict[str, Any]) -> None:
    report = helm.lint(wrong, strict=True)
    assert report["errors"]
