"""What can be checked of deploy/ and docker-compose.yml without Docker."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Counter, Gauge, Histogram
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.exceptions import BusyLoadingError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from celery_recommender.broker.redis.embedded import find_server_program
from celery_recommender.owner.telemetry.metrics import Metrics
from celery_recommender.settings import PREFIX, Settings, variable

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "deploy/Dockerfile"
REDIS_CONF = ROOT / "deploy/redis/redis.conf"
USERS_ACL = ROOT / "deploy/redis/users.acl"
ALERTS = ROOT / "deploy/prometheus/alerts.yml"
PROMETHEUS = ROOT / "deploy/prometheus/prometheus.yml"
GRAFANA = ROOT / "deploy/grafana"
BOARD = GRAFANA / "boards/recommender.json"
RUNBOOK = ROOT / "deploy/runbook.md"
UNIT = ROOT / "deploy/systemd/recommender-worker.service"

VARIABLES = {variable(name) for name in Settings.model_fields}

Services = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def services() -> Services:
    unset = re.sub(r"\$\{\w+:-(\w*)\}", r"\1", COMPOSE.read_text())
    found: Services = yaml.safe_load(unset)["services"]
    return found


# -- Compose -----------------------------------------------------------------------------------------------------------


def test_compose_file_is_valid() -> None:
    checker = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    result = subprocess.run(checker, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_compose_environment_is_known_and_accepted(services: Services) -> None:
    ours = {name: service for name, service in services.items() if service["image"].startswith("celery-recommender:")}
    given = {name: service["environment"] for name, service in ours.items()}
    assert given.keys() >= {"worker", "worker-b", "embed-worker", "demo"}
    for environment in given.values():
        assert environment.keys() <= VARIABLES
        environment = {name: _interpolated(value) for name, value in environment.items()}
        assert Settings.from_environment(environment).redis_url == "redis://redis:6379/0"


def _interpolated(value: str | None) -> str:
    """As Compose reads it where the variable is not set."""
    return "" if value is None else re.sub(r"\$\{\w+:-(.*?)\}", r"\1", value)


def test_compose_services_are_hardened(services: Services) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("privileged"), name


def test_compose_publishes_to_this_machine_only(services: Services) -> None:
    assert "ports" not in services["redis"]
    assert all(port.startswith("127.0.0.1:") for service in services.values() for port in service.get("ports", ()))


def test_compose_pins_the_images_of_others(services: Services) -> None:
    assert re.fullmatch(r"valkey/valkey:\d+\.\d+\.\d+-alpine", services["redis"]["image"])
    assert re.fullmatch(r"prom/prometheus:v\d+\.\d+\.\d+", services["prometheus"]["image"])
    assert re.fullmatch(r"grafana/grafana:\d+\.\d+\.\d+", services["grafana"]["image"])


def test_compose_bounds_every_service(services: Services) -> None:
    for name, service in services.items():
        assert re.fullmatch(r"\d+[mg]", service["mem_limit"]), name
        assert service["pids_limit"] <= 1000, name


def test_compose_backs_up_by_default_to_a_volume_that_the_image_lets_it_write(services: Services) -> None:
    for name in ("worker", "worker-b"):
        folder = services[name]["environment"]["RECOMMENDER_BACKUP_DIR"]
        assert folder in [volume.split(":")[1] for volume in services[name]["volumes"]]
        made = next(rest for word, rest in _instructions() if word == "RUN" and "--owner=10001" in rest)
        assert folder in made.split()


def test_compose_scrapes_every_worker_inside_its_network(services: Services) -> None:
    (job,) = yaml.safe_load((ROOT / "deploy/prometheus/compose.yml").read_text())["scrape_configs"]
    assert job["job_name"] == yaml.safe_load(PROMETHEUS.read_text())["scrape_configs"][0]["job_name"]
    (found,) = job["dns_sd_configs"]
    served = {name: one for name, one in services.items() if "RECOMMENDER_METRICS_PORT" in one.get("environment", {})}
    assert set(found["names"]) == set(served)
    for service in served.values():
        assert service["environment"]["RECOMMENDER_METRICS_PORT"] == str(found["port"])
        assert service["environment"]["RECOMMENDER_METRICS_HOST"] == "0.0.0.0"
    mounted = dict(volume.split(":")[:2] for volume in services["prometheus"]["volumes"])
    assert mounted["./deploy/prometheus/compose.yml"] in services["prometheus"]["command"][0]
    assert mounted["./deploy/prometheus/alerts.yml"] == str(
        Path(mounted["./deploy/prometheus/compose.yml"]).with_name("alerts.yml")
    )


def test_compose_shows_grafana_to_this_machine_and_lets_nobody_in(services: Services) -> None:
    environment = services["grafana"]["environment"]
    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert (environment["GF_AUTH_DISABLE_LOGIN_FORM"], environment["GF_AUTH_BASIC_ENABLED"]) == ("true", "false")


def test_compose_state_survives_the_container(services: Services) -> None:
    worker = services["worker"]
    assert worker["environment"]["RECOMMENDER_STATE_DIR"] in [volume.split(":")[1] for volume in worker["volumes"]]
    assert "/data" in [volume.split(":")[1] for volume in services["redis"]["volumes"]]
    assert worker["stop_grace_period"] == "60s"


def test_compose_puts_a_standby_on_the_volumes_of_the_worker(services: Services) -> None:
    worker, standby = services["worker"], services["standby"]
    assert standby["command"] == [*worker["command"], "--standby"]
    assert (standby["volumes"], standby["environment"]) == (worker["volumes"], worker["environment"])
    assert standby["ports"] == []


def test_compose_keeps_the_users_of_the_page_and_says_how_to_add_one(services: Services) -> None:
    web = services["web"]
    users = Path(web["environment"]["RECOMMENDER_WEB_USERS"])
    assert str(users.parent) in [volume.split(":")[1] for volume in web["volumes"]]
    assert "web" in web["build"]["args"]["EXTRAS"].split(",")
    assert web["environment"]["RECOMMENDER_WEB_PORT"] in web["ports"][0]
    told = re.search(r"docker compose run --rm web (.*)", COMPOSE.read_text())
    assert told
    from click.testing import CliRunner

    from celery_recommender.cli import main

    *arguments, _, _, _ = told[1].split()
    result = CliRunner().invoke(main, [*arguments, "--help"])
    assert result.exit_code == 0, result.output


def test_compose_gives_each_partition_a_state_of_its_own(services: Services) -> None:
    first, second = services["worker"], services["worker-b"]
    assert not {*first["volumes"]} & {*second["volumes"]}
    assert not {*first["ports"]} & {*second["ports"]}
    listed = {**second["environment"], "RECOMMENDER_PARTITIONS": "default,b"}
    Settings.from_environment(listed).require_member()
    assert second["profiles"] == ["partitions"]


def test_compose_mounts_what_is_there(services: Services) -> None:
    sources = [volume.split(":")[0] for service in services.values() for volume in service.get("volumes", ())]
    local = [source for source in sources if source.startswith(".")]
    assert local
    assert [source for source in local if not (ROOT / source).exists()] == []
    sample = services["demo"]["command"][1]
    assert (ROOT / "workers/celery_recommender/samples" / Path(sample).name).is_file()


def test_compose_probes_the_port_that_is_set(services: Services) -> None:
    worker = services["worker"]
    port = worker["environment"]["RECOMMENDER_METRICS_PORT"]
    assert f":{port}/readyz" in worker["healthcheck"]["test"][-1]
    assert worker["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_compose_calls_the_command_line_as_it_is(services: Services) -> None:
    from click.testing import CliRunner

    from celery_recommender.cli import main

    for name in ("worker", "embed-worker", "demo", "standby", "web"):
        command = services[name]["command"]
        result = CliRunner().invoke(main, [command[0], "--help"])
        assert result.exit_code == 0, result.output
        assert [option for option in command if option.startswith("--") and option not in result.output] == []


# -- Dockerfile --------------------------------------------------------------------------------------------------------


def _instructions() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n", " ", "\n".join(line for line in DOCKERFILE.read_text().splitlines() if line[:1] != "#"))
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines()) if word]


def test_image_sets_known_variables() -> None:
    used = set(re.findall(rf"{PREFIX}\w+", DOCKERFILE.read_text()))
    assert used
    assert used <= VARIABLES


def test_image_runs_as_an_ordinary_user_and_stops_in_order() -> None:
    final = dict(_instructions())  # the last of each kind
    assert final["USER"] == "10001:10001"
    assert final["STOPSIGNAL"] == "SIGTERM"
    assert final["ENTRYPOINT"] == '["tini", "--", "recommender"]'
    assert final["HEALTHCHECK"].endswith("]")
    assert "HF_HUB_OFFLINE=1" in final["ENV"]


def test_image_is_built_from_what_the_context_holds() -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [
        source
        for word, rest in _instructions()
        if word == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    ]
    assert copied
    assert sorted(copied) == sorted(allowed)
    assert [source for source in copied if not (ROOT / source).exists()] == []


def test_image_takes_the_torch_that_the_tests_take() -> None:
    pinned = re.search(r"^TORCH=torch==(\S+)$", (ROOT / "tools/setup.sh").read_text(), re.MULTILINE)
    assert pinned
    assert ("ARG", f"TORCH={pinned[1]}") in _instructions()


# -- Redis -------------------------------------------------------------------------------------------------------------


def _when_it_answers(socket: Path, **user: str) -> Redis:
    return Redis(
        unix_socket_path=str(socket),
        decode_responses=True,
        retry=Retry(ConstantBackoff(0.05), 200),
        retry_on_error=[RedisConnectionError, BusyLoadingError],
        **user,  # type: ignore[arg-type]
    )


@contextmanager
def _server(directory: Path, *options: str, username: str = "default", password: str = "") -> Iterator[Path]:
    """The real server with our configuration; only where it listens and writes is another place."""
    socket = directory / "s"
    options = tuple(str(directory) if option == "/data" else option for option in options)
    place = ("--dir", str(directory), "--port", "0", "--unixsocket", str(socket))
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(find_server_program()), str(REDIS_CONF), *options, *place], stdout=log, stderr=subprocess.STDOUT
        )
    try:
        with _when_it_answers(socket, username=username, password=password) as client:
            client.ping()
        yield socket
    finally:
        process.terminate()
        process.wait(15)


StartServer = Callable[..., AbstractContextManager[Path]]


@pytest.fixture
def start_server(tmp_path_factory: pytest.TempPathFactory) -> StartServer:
    directory = tmp_path_factory.mktemp("r")  # short: the path of a unix socket has about 100 bytes
    return lambda *options, **user: _server(directory, *options, **user)


@pytest.mark.server
def test_redis_takes_the_configuration(start_server: StartServer) -> None:
    with start_server() as socket, _when_it_answers(socket) as redis:
        config = redis.config_get("*")
    expected = {
        "appendonly": "yes",
        "appendfsync": "always",
        "no-appendfsync-on-rewrite": "no",
        "aof-load-truncated": "yes",
        "save": "",
        "maxmemory": str(3 * 1024**3),
        "maxmemory-policy": "noeviction",
        "proto-max-bulk-len": str(64 * 1024**2),
        "timeout": "0",
        "tcp-keepalive": "60",
        "bind": "127.0.0.1 -::1",
        "protected-mode": "yes",
    }
    assert {name: config[name] for name in expected} == expected


@pytest.mark.server
def test_redis_takes_the_command_line_of_the_compose_file(start_server: StartServer, services: Services) -> None:
    program, config_file, *options = services["redis"]["command"]
    assert program == "valkey-server"
    assert f"./deploy/redis/redis.conf:{config_file}:ro" in services["redis"]["volumes"]
    with start_server(*options) as socket, _when_it_answers(socket) as redis:
        config = redis.config_get("*")
    assert {name: config[name] for name in ("bind", "protected-mode", "appendonly", "maxmemory-policy")} == {
        "bind": "* -::*",
        "protected-mode": "no",
        "appendonly": "yes",
        "maxmemory-policy": "noeviction",
    }


@pytest.mark.server
def test_users_have_no_password_until_one_is_given(start_server: StartServer, tmp_path: Path) -> None:
    program = [str(find_server_program()), str(REDIS_CONF), "--aclfile", str(USERS_ACL)]
    result = subprocess.run(
        [*program, "--port", "0", "--dir", str(tmp_path)], capture_output=True, text=True, check=False, timeout=30
    )
    assert result.returncode != 0
    assert "users.acl:2" in result.stdout + result.stderr


# -- Prometheus --------------------------------------------------------------------------------------------------------


def _samples() -> set[str]:
    """Names of everything that /metrics can show."""
    endings = {Counter: ("_total",), Gauge: ("",), Histogram: ("_bucket", "_sum", "_count")}
    metrics = [one for one in vars(Metrics("default")).values() if isinstance(one, tuple(endings))]
    return {name + ending for one in metrics for name in [one.describe()[0].name] for ending in endings[type(one)]}


def _rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_alerts_use_metrics_that_exist() -> None:
    used = {name for rule in _rules() for name in re.findall(r"\brecommender_\w+", rule["expr"])}
    assert {"recommender_lag_commands", "recommender_rejected_total"} <= used
    assert used <= _samples()


def test_alerts_go_by_the_name_of_the_scraped_job() -> None:
    (job,) = yaml.safe_load(PROMETHEUS.read_text())["scrape_configs"]
    jobs = {name for rule in _rules() for name in re.findall(r'job="([^"]*)"', rule["expr"])}
    assert jobs == {job["job_name"]}


def test_every_alert_is_explained() -> None:
    headings = set(re.findall(r"^### (\w+)$", RUNBOOK.read_text(), re.MULTILINE))
    assert headings == {rule["alert"] for rule in _rules()}


def test_every_alert_leads_to_its_paragraph() -> None:
    base = "https://github.com/celery-recommender/celery-recommender/blob/main/deploy/runbook.md"
    assert {rule["alert"]: rule["annotations"]["runbook_url"] for rule in _rules()} == {
        rule["alert"]: f"{base}#{rule['alert'].lower()}" for rule in _rules()
    }


# -- Grafana -----------------------------------------------------------------------------------------------------------


def _labels() -> dict[str, set[str]]:
    """Labels of each sample that /metrics can show, those that a scrape adds included."""
    found: dict[str, set[str]] = {}
    for one in vars(Metrics("default")).values():
        if isinstance(one, Counter | Gauge | Histogram):
            for name in _samples():
                if name.startswith(one.describe()[0].name):
                    found.setdefault(name, set()).update({*one._labelnames, "job", "instance", "le"})
    return found


def _board() -> dict[str, Any]:
    board: dict[str, Any] = json.loads(BOARD.read_text())
    return board


def _expressions() -> list[str]:
    return [target["expr"] for panel in _board()["panels"] for target in panel.get("targets", ())]


def test_the_board_shows_every_metric_and_none_that_is_not_there() -> None:
    used = {name for expression in _expressions() for name in re.findall(r"\brecommender_\w+", expression)}
    assert used <= _samples()
    metrics = [one for one in vars(Metrics("default")).values() if isinstance(one, Counter | Gauge | Histogram)]
    names = {one.describe()[0].name for one in metrics}
    assert len(names) > 30
    assert {name for name in names if not any(one.startswith(name) for one in used)} == set()
    (job,) = yaml.safe_load(PROMETHEUS.read_text())["scrape_configs"]
    assert {name for one in _expressions() for name in re.findall(r'job="([^"]*)"', one)} == {job["job_name"]}


def test_the_board_asks_for_labels_that_its_metrics_have() -> None:
    labels = _labels()
    for panel in _board()["panels"]:
        for target in panel.get("targets", ()):
            shown: set[str] = {"job", "instance"}
            for name, matchers in re.findall(r"\b(recommender_\w+)\{([^}]*)\}", target["expr"]):
                asked = set(re.findall(r"(\w+)=~?", matchers))
                assert asked <= labels[name], (panel["title"], name)
                shown |= labels[name]
            grouped = {one.strip() for by in re.findall(r"by \(([^)]*)\)", target["expr"]) for one in by.split(",")}
            legend = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert grouped <= shown, panel["title"]
            assert legend <= (grouped or shown), panel["title"]


def test_panels_of_the_board_have_places_and_ids_of_their_own() -> None:
    panels = _board()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 30
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) == 23
    variables = {one["name"] for one in _board()["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z]\w*)", BOARD.read_text()))
    assert used == variables == {"datasource", "partition"}


def test_grafana_is_provisioned_with_the_board_and_the_prometheus_of_the_network(services: Services) -> None:
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/boards.yml").read_text())["providers"]
    mounted = dict(volume.split(":")[:2] for volume in services["grafana"]["volumes"] if volume.startswith("./"))
    assert mounted["./deploy/grafana/boards"] == provider["options"]["path"]
    assert mounted["./deploy/grafana/provisioning"] == "/etc/grafana/provisioning"


# -- systemd -----------------------------------------------------------------------------------------------------------


def _unit() -> dict[str, list[tuple[str, str]]]:
    sections: dict[str, list[tuple[str, str]]] = {}
    for line in UNIT.read_text().splitlines():
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            name, _, value = line.partition("=")
            section.append((name, value))
    return sections


def test_unit_sets_known_variables() -> None:
    pairs = [value.partition("=")[::2] for name, value in _unit()["Service"] if name == "Environment"]
    ours = {name: value for name, value in pairs if name.startswith(PREFIX)}
    assert ours
    assert ours.keys() <= VARIABLES
    Settings.from_environment(ours)


def test_unit_restarts_a_worker_that_failed_and_waits_for_one_that_stops() -> None:
    service = _unit()["Service"]
    assert ("Restart", "on-failure") in service
    assert ("TimeoutStopSec", "60") in service
    assert ("NoNewPrivileges", "yes") in service


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_unit_is_understood_by_systemd(tmp_path: Path) -> None:
    here = tmp_path / UNIT.name
    here.write_text(UNIT.read_text().replace("/opt/recommender/bin/recommender", sys.executable))
    environment = {**os.environ, "SYSTEMD_LOG_LEVEL": "warning"}
    result = subprocess.run(
        ["systemd-analyze", "verify", str(here)], capture_output=True, text=True, check=False, env=environment
    )
    assert (result.returncode, result.stderr) == (0, "")
