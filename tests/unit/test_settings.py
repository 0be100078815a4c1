from __future__ import annotations

from pathlib import Path

import pytest

from celery_recommender.settings import PREFIX, Settings, naming, unknown_variables, variable
from recommender_engine.errors import ConfigurationError, StateFull

FULL = {
    "RECOMMENDER_REDIS_URL": "redis://user:secret@host:6380/1",
    "RECOMMENDER_BROKER_URL": "redis://:secret@broker/0",
    "RECOMMENDER_RESULT_BACKEND": "disabled",
    "RECOMMENDER_RESULT_EXPIRES_S": "60",
    "RECOMMENDER_STATE_DIR": "/var/lib/recommender",
    "RECOMMENDER_KEY_PREFIX": "team1:",
    "RECOMMENDER_PARTITION": "shop-1",
    "RECOMMENDER_PARTITIONS": "shop-1,shop-2",
    "RECOMMENDER_ROUTES": "tickets=shop-2",
    "RECOMMENDER_MODELS_DIR": "/models",
    "RECOMMENDER_MODELS": "a=/models/a, b=org/b@0123456789012345678901234567890123456789,",
    "RECOMMENDER_THREADS": "2",
    "RECOMMENDER_ENCODER": "openvino-bfloat16",
    "RECOMMENDER_LONG_TEXTS": "windows",
    "RECOMMENDER_BATCH_TOKENS": "4096",
    "RECOMMENDER_BATCH_ITEMS": "64",
    "RECOMMENDER_MESSAGE_RULES": "/etc/recommender/rules.toml",
    "RECOMMENDER_MAX_COLLECTIONS": "77",
    "RECOMMENDER_DELIVER_TASK": "shop.tasks.on_similar",
    "RECOMMENDER_DELIVER_QUEUE": "shop",
    "RECOMMENDER_DELIVER_RETRY_S": "60",
    "RECOMMENDER_DELIVER_TYPES": "recommender.item.processed.v1,recommender.item.deleted.v1",
    "RECOMMENDER_EVENTS_MAX_LENGTH": "5000",
    "RECOMMENDER_EVENTS_MAX_BYTES": "2000000",
    "RECOMMENDER_DEAD_LETTERS_MAX_BYTES": "3000000",
    "RECOMMENDER_MOST_WAITING": "0",
    "RECOMMENDER_EVENTS_RETENTION": "groups",
    "RECOMMENDER_EVENTS_HOURS": "12",
    "RECOMMENDER_OUTBOX_HOURS": "24",
    "RECOMMENDER_OUTBOX_MAX_BYTES": "34359738368",
    "RECOMMENDER_METRICS_PORT": "9100",
    "RECOMMENDER_METRICS_HOST": "0.0.0.0",
    "RECOMMENDER_STANDBY": "true",
    "RECOMMENDER_LEASE_S": "5",
    "RECOMMENDER_STALL_AFTER_S": "30.5",
    "RECOMMENDER_BACKUP_DIR": "/mnt/backups",
    "RECOMMENDER_BACKUP_EVERY_S": "600.0",
    "RECOMMENDER_BACKUP_KEEP": "5",
    "RECOMMENDER_DEAD_LETTERS_MAX_LENGTH": "50",
    "RECOMMENDER_HANG_AFTER_S": "60",
    "RECOMMENDER_EMBED_WORKERS": "3",
    "RECOMMENDER_EMBED_QUEUE": "gpu",
    "RECOMMENDER_EMBED_TIMEOUT_S": "5",
    "RECOMMENDER_EMBED_METRICS_PORT": "9465",
    "RECOMMENDER_SUSPECT_AFTER": "2",
    "RECOMMENDER_WEB_HOST": "0.0.0.0",
    "RECOMMENDER_WEB_PORT": "8000",
    "RECOMMENDER_WEB_HOSTS": "tickets.example.com,tickets",
    "RECOMMENDER_WEB_USERS": "/etc/recommender/users.json",
    "RECOMMENDER_WEB_SESSION_HOURS": "8",
    "RECOMMENDER_WEB_FILES_MIB": "128",
    "RECOMMENDER_WEB_FILES_HOURS": "6",
    "RECOMMENDER_WEB_PROXY_HEADER": "X-Forwarded-User",
    "RECOMMENDER_WEB_PROXY_PEERS": "10.0.0.7,10.1.0.0/16",
    "RECOMMENDER_WEB_PROXY_SECRET": "secret",
    "RECOMMENDER_WEB_PROXY_ROLE": "answer",
    "RECOMMENDER_WEBHOOKS": "/etc/recommender/webhooks.toml",
    "RECOMMENDER_WEBHOOK_SECRET": "whsec_c2VjcmV0",
    "RECOMMENDER_WEBHOOK_RETRY_S": "3600",
    "RECOMMENDER_LOG_LEVEL": "DEBUG",
    "RECOMMENDER_LOG_FORMAT": "json",
}


def test_every_setting_has_its_variable() -> None:
    assert {variable(name) for name in Settings.model_fields} == FULL.keys()


def test_every_variable_is_read() -> None:
    settings = Settings.from_environment(FULL)
    defaults = Settings()
    assert [name for name in Settings.model_fields if getattr(settings, name) == getattr(defaults, name)] == []
    assert settings.models == ("a=/models/a", "b=org/b@0123456789012345678901234567890123456789")
    assert settings.deliver_types == ("recommender.item.processed.v1", "recommender.item.deleted.v1")
    assert settings.state_dir == Path("/var/lib/recommender")
    assert (settings.threads, settings.stall_after_s) == (2, 30.5)


def test_nothing_needs_to_be_set() -> None:
    assert Settings.from_environment({"PATH": "/bin"}) == Settings()


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECOMMENDER_PARTITION", "from-here")
    assert Settings.from_environment().partition == "from-here"


@pytest.mark.parametrize("settings", [Settings(), Settings.from_environment(FULL)], ids=["defaults", "full"])
def test_another_process_reads_the_same(settings: Settings) -> None:
    environment = settings.to_environment()
    assert all(name.startswith(PREFIX) for name in environment)
    assert Settings.from_environment(environment) == settings


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("BATCH_ITEMS", "many", "Input should be a valid integer"),
        ("BATCH_ITEMS", "0", "greater than or equal to 1"),
        ("BATCH_TOKENS", "-1", "greater than or equal to 1"),
        ("THREADS", "5000", "less than or equal to 1024"),
        ("METRICS_PORT", "70000", "less than or equal to 65535"),
        ("OUTBOX_HOURS", "23", "greater than or equal to 24"),
        ("STALL_AFTER_S", "0", "greater than 0"),
        ("LOG_LEVEL", "LOUD", "'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("LOG_FORMAT", "xml", "'text' or 'json'"),
        ("PARTITION", "a:b", "letters, digits, - and _ only, at most 64"),
        ("PARTITION", "../x", "letters, digits, - and _ only, at most 64"),
        ("PARTITION", "x" * 65, "letters, digits, - and _ only, at most 64"),
        ("PARTITION", "x\ny", "letters, digits, - and _ only, at most 64"),
    ],
)
def test_an_error_names_the_variable(name: str, value: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem) as caught:
        Settings.from_environment({PREFIX + name: value})
    assert str(caught.value).startswith(f"{PREFIX}{name}={value!r}: ")


def test_a_change_is_validated_again() -> None:
    assert Settings().replaced(batch_items=7).batch_items == 7
    with pytest.raises(ConfigurationError, match=r"^RECOMMENDER_BATCH_ITEMS=0: .*greater than or equal to 1"):
        Settings().replaced(batch_items=0)
    with pytest.raises(ConfigurationError, match=r"^RECOMMENDER_PARTITION='a b': letters, digits"):
        Settings().replaced(partition="a b")
    with pytest.raises(ConfigurationError, match=r"^RECOMMENDER_COLOUR='red': Extra inputs"):
        Settings().replaced(colour="red")


def test_a_variable_that_is_no_setting_is_found() -> None:
    assert unknown_variables(FULL) == ()
    strays = {"RECOMMENDER_REDIS_UR": "x", "RECOMMENDER_TORCH": "cuda", "REDIS_URL": "y", "RECOMMENDER_THREADS": "2"}
    assert [str(one) for one in unknown_variables(strays)] == [
        "RECOMMENDER_REDIS_UR is no setting: is RECOMMENDER_REDIS_URL meant?"
    ]


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().partition = "other"  # type: ignore[misc]


def test_no_password_shows() -> None:
    settings = Settings.from_environment(FULL)
    assert "secret" not in repr(settings) + str(settings)
    assert "shop-1" in repr(settings)


def test_an_error_of_a_place_names_the_setting_of_the_place(tmp_path: Path) -> None:
    settings = Settings(
        state_dir=tmp_path,
        backup_dir=tmp_path / "b",
        message_rules=tmp_path / "b" / "rules",
        models=("own=/models/own",),
    )
    for told, name in {
        "model 'own': /models/own is not a directory": "MODELS",
        "/models/own/modules.json is missing: not the folder of a model": "MODELS",
        f"[Errno 13] Permission denied: '{tmp_path}/state/default/in-hand.json'": "STATE_DIR",
        f"{tmp_path}: Not a directory": "STATE_DIR",
        f"the backup could not be written to {tmp_path}/b: no space": "BACKUP_DIR",
        f"{tmp_path}/b/rules: rules for messages cannot be read": "MESSAGE_RULES",
        "the disk of the state directory is full": "STATE_DIR",
        "the state is damaged (malformed): restore it": "STATE_DIR",
    }.items():
        assert naming(told, settings) == f"{told} (RECOMMENDER_{name})"
    for told in (
        f"{tmp_path}-2/out.csv: Not a directory",
        "set RECOMMENDER_STATE_DIR",
        "/x/items.csv: Permission denied",
    ):
        assert naming(told, settings) == told
    assert naming(StateFull("the disk of the state directory is full")).endswith("(RECOMMENDER_STATE_DIR)")
    assert naming("Is a directory: 'data/sent'", Settings(state_dir=Path("data"))).endswith("(RECOMMENDER_STATE_DIR)")
