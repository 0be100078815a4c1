"""What others write into the environment of a process: people, Compose, Kubernetes, secret stores."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from celery_recommender import settings as module
from celery_recommender.cli import main
from celery_recommender.settings import (
    SECRETS,
    SETTINGS_FILE,
    Settings,
    take_settings_file,
    unknown_variables,
    variable,
    write_settings_file,
)
from celery_recommender.variables import in_settings_file
from recommender_engine.errors import ConfigurationError


def of_a_service(name: str, port: int) -> dict[str, str]:
    """What Kubernetes puts into every container beside a Service, as its documentation says."""
    stem, address = name.upper().replace("-", "_"), "10.0.171.239"
    return {
        f"{stem}_SERVICE_HOST": address,
        f"{stem}_SERVICE_PORT": str(port),
        f"{stem}_SERVICE_PORT_HTTP": str(port),
        f"{stem}_PORT": f"tcp://{address}:{port}",
        f"{stem}_PORT_{port}_TCP": f"tcp://{address}:{port}",
        f"{stem}_PORT_{port}_TCP_PROTO": "tcp",
        f"{stem}_PORT_{port}_TCP_PORT": str(port),
        f"{stem}_PORT_{port}_TCP_ADDR": address,
    }


@pytest.mark.parametrize(
    "service",
    ["recommender", "recommender-metrics", "recommender-redis", "recommender-redis-url", "recommender-worker-b"],
)
def test_variables_of_a_service_are_none_of_ours(service: str) -> None:
    environment = of_a_service(service, 9464)
    assert Settings.from_environment(environment) == Settings()
    assert unknown_variables(environment) == ()


def test_every_setting_may_have_a_service_of_its_name() -> None:
    """Whatever a setting is called: a Service called like it, or like the beginning of its name, takes nothing away."""
    for field in Settings.model_fields:
        stem = variable(field).removesuffix("_PORT").removesuffix("_HOST").lower().replace("_", "-")
        assert Settings.from_environment(of_a_service(stem, 80)) == Settings(), field


def test_a_port_that_is_set_beside_a_service_counts() -> None:
    environment = {**of_a_service("recommender-metrics", 9464), "RECOMMENDER_METRICS_PORT": "9100"}
    assert Settings.from_environment(environment).metrics_port == 9100


def test_doctor_says_what_is_ignored(tmp_path: Path) -> None:
    environment = {**of_a_service("recommender-metrics", 9464), "RECOMMENDER_STATE_DIR": str(tmp_path)}
    said = CliRunner().invoke(main, ["doctor"], env=environment).output
    assert "RECOMMENDER_METRICS_PORT" in said
    assert "made by Kubernetes for a Service, ignored" in said
    assert "is no setting" not in said


@pytest.mark.parametrize("empty", ["", "  ", '""', "\n"])
def test_an_empty_variable_is_not_set(empty: str) -> None:
    assert Settings.from_environment({variable(name): empty for name in Settings.model_fields}) == Settings()
    assert Settings.from_environment({variable(name) + "_FILE": empty for name in SECRETS}) == Settings()


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("log_level", "info", "INFO"),
        ("log_level", "Debug", "DEBUG"),
        ("log_level", "warn", "WARNING"),
        ("log_level", "critical", "ERROR"),
        ("log_format", "JSON", "json"),
        ("encoder", "Torch-Float32", "torch-float32"),
        ("long_texts", "WINDOWS", "windows"),
        ("events_retention", "Age", "age"),
        ("standby", "TRUE", True),
        ("standby", " yes ", True),
        ("standby", "off", False),
        ("metrics_port", " 9464\n", 9464),
        ("metrics_port", "'9464'", 9464),
        ("redis_url", ' "redis://h/0" ', "redis://h/0"),
        ("deliver_types", "a, b ,", ("a", "b")),
    ],
)
def test_values_as_people_write_them(name: str, value: str, meant: object) -> None:
    assert getattr(Settings.from_environment({variable(name): value}), name) == meant


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_a_secret_may_stand_in_a_file(name: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("redis://user:tiger@h/3\n")
    settings = Settings.from_environment({variable(name) + "_FILE": str(file)})
    assert getattr(settings, name) == "redis://user:tiger@h/3"
    file.write_text("redis://user:tiger@h/3", encoding="utf-8-sig")
    assert Settings.from_environment({variable(name) + "_FILE": str(file)}) == settings, "as Windows' editors save it"
    inherited = {variable(name) + "_FILE": str(file), **settings.to_environment()}
    assert Settings.from_environment(inherited) == settings, "a child process reads the same"


def test_a_secret_in_two_places_or_in_no_file_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("redis://:tiger@h")
    both = {"RECOMMENDER_REDIS_URL": "redis://:lion@h", "RECOMMENDER_REDIS_URL_FILE": str(file)}
    with pytest.raises(ConfigurationError, match=r"^RECOMMENDER_REDIS_URL and RECOMMENDER_REDIS_URL_FILE are both set"):
        Settings.from_environment(both)
    for path, reason in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(
            ConfigurationError, match=f"^RECOMMENDER_BROKER_URL_FILE='{path}'.*cannot be read: {reason}"
        ):
            Settings.from_environment({"RECOMMENDER_BROKER_URL_FILE": str(path)})
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="it is not UTF-8"):
        Settings.from_environment({"RECOMMENDER_REDIS_URL_FILE": str(file)})
    file.write_text(" \n")
    with pytest.raises(ConfigurationError, match="the file is empty"):
        Settings.from_environment({"RECOMMENDER_REDIS_URL_FILE": str(file)})
    file.write_text("redis://:ti#ger@h")
    with pytest.raises(ConfigurationError, match=r"^RECOMMENDER_REDIS_URL: redis://:\*\*\*@h: .*percent-encode"):
        Settings.from_environment({"RECOMMENDER_REDIS_URL_FILE": str(file)})


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("RECOMMENDER_REDIS_ULR", "RECOMMENDER_REDIS_URL"),
        ("RECOMMENDER_REDISURL", "RECOMMENDER_REDIS_URL"),
        ("recommender_redis_url", "RECOMMENDER_REDIS_URL"),
        ("RECOMMENDER_LOGLEVEL", "RECOMMENDER_LOG_LEVEL"),
        ("RECOMMENDER_METRIC_PORT", "RECOMMENDER_METRICS_PORT"),
    ],
)
def test_a_misspelt_variable_is_reported_with_the_nearest_name(
    name: str, nearest: str, caplog: pytest.LogCaptureFixture
) -> None:
    module._warn_once.cache_clear()
    with caplog.at_level(logging.WARNING):
        Settings.from_environment({name: "x"})
        Settings.from_environment({name: "x"})
    assert [record.getMessage() for record in caplog.records] == [f"{name} is no setting: is {nearest} meant?"]


def test_the_environment_of_the_tests_is_clean() -> None:
    assert unknown_variables(os.environ) == ()


def test_a_file_of_settings_gives_way_to_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    take_settings_file()
    SETTINGS_FILE.write_text("# mine\nRECOMMENDER_THREADS=2\nexport RECOMMENDER_LEASE_S='20'\nPATH=/nowhere\n")
    write_settings_file({"redis_url": "redis://one:6379/0", "lease_s": "30"})
    write_settings_file({"redis_url": "redis://two:6379/0"})
    assert SETTINGS_FILE.read_text() == (
        "# mine\nRECOMMENDER_THREADS=2\nPATH=/nowhere\nRECOMMENDER_LEASE_S=30\nRECOMMENDER_REDIS_URL=redis://two:6379/0\n"
    )
    for name in ("RECOMMENDER_REDIS_URL", "RECOMMENDER_LEASE_S"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RECOMMENDER_REDIS_URL_FILE", "/run/secrets/redis")
    monkeypatch.setenv("RECOMMENDER_THREADS", "3")
    path = os.environ["PATH"]
    try:
        take_settings_file()
        assert (os.environ["RECOMMENDER_THREADS"], os.environ["RECOMMENDER_LEASE_S"]) == ("3", "30")
        assert "RECOMMENDER_REDIS_URL" not in os.environ
        assert os.environ["PATH"] == path
    finally:
        os.environ.pop("RECOMMENDER_LEASE_S", None)


def test_a_file_of_settings_of_another_user_counts_as_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    SETTINGS_FILE.write_text("RECOMMENDER_LEASE_S=30\n")
    assert in_settings_file(SETTINGS_FILE) == {"RECOMMENDER_LEASE_S": "30"}
    if os.geteuid() == 0:
        os.chown(SETTINGS_FILE, 4242, 4242)
    else:
        monkeypatch.setattr("os.geteuid", lambda: 4242)
    assert in_settings_file(SETTINGS_FILE) == {}


def test_a_file_of_settings_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    SETTINGS_FILE.write_bytes(b"RECOMMENDER_LEASE_S=\xff\n")
    with pytest.raises(ConfigurationError, match=r"recommender\.env \(settings\) cannot be read: it is not UTF-8"):
        take_settings_file()
