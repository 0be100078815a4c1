"""Options after the ``?`` of a server's URL: those that apply, are ignored, or are refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

ADVICE = "if a user or password holds one of # / ? @ : % [ ], percent-encode it (# is %23, / is %2F)"
# Options of the client library that are the same for every process, whatever the URL has.
_OURS = frozenset(
    {
        *("protocol", "decode_responses", "encoding", "encoding_errors", "legacy_responses"),
        *("health_check_interval", "max_connections", "retry_on_timeout", "retry_on_error", "timeout"),
        *("single_connection_client", "socket_keepalive", "lib_name", "lib_version", "min_other_sentinels"),
        *("visibility_timeout", "fanout_prefix", "fanout_patterns"),
    }
)
_TIMEOUTS = ("socket_timeout", "socket_connect_timeout")
_LEAST_TIMEOUT_S = 2.0  # a read of a stream waits for a second at the server
TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_CERTIFICATES = {"required": "required", "optional": "optional", "none": "none"}
DB = ("db", "virtual_host")
SERVICE = ("master_name", "service_name", "service", "sentinel_service")
SECRETS = ("username", "password", "sentinel_username", "sentinel_password")
_KNOWN = _OURS | {
    *_TIMEOUTS,
    *TLS_FILES,
    *DB,
    *SERVICE,
    *SECRETS,
    *("ssl_cert_reqs", "ssl_check_hostname", "client_name"),
}


class WrongUrl(ValueError):
    """What is wrong with a URL, in words that hold nothing of its secrets."""


def read_options(query: str) -> dict[str, str]:
    """The options by name.

    Raises:
        WrongUrl: it is no list of options, or one is not known.
    """
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), errors="strict")
    except ValueError:
        raise WrongUrl(f"what stands behind the ? is not OPTION=VALUE&OPTION=VALUE; {ADVICE}") from None
    options: dict[str, str] = {}
    for name, value in pairs:
        if name not in _KNOWN:
            # Behind a ? or & in a password everything looks like an option.
            shown = "" if "@" in query or "password" in query or not name.isidentifier() else f" ({name})"
            known = ", ".join(sorted(_KNOWN - _OURS))
            raise WrongUrl(f"it has an option{shown} that is not known here; known are {known}; {ADVICE}")
        if options.setdefault(name, value) != value:
            raise WrongUrl(f"it says {name} twice")
    return options


def timeouts(options: Mapping[str, str]) -> dict[str, float]:
    """Seconds, as redis-py and Celery call them.

    Raises:
        WrongUrl: one is no number, or too short for reads that wait.
    """
    result = {}
    for name in _TIMEOUTS:
        if not options.get(name):
            continue
        try:
            result[name] = float(options[name])
        except ValueError:
            raise WrongUrl(f"{name} is no number of seconds") from None
        if not result[name] >= (_LEAST_TIMEOUT_S if name == "socket_timeout" else 0.1) or result[name] > 3600:
            raise WrongUrl(f"{name} must be from {_LEAST_TIMEOUT_S:.0f} to 3600 seconds")
    return result


def tls_options(options: Mapping[str, str], over_tls: bool) -> dict[str, Any]:
    """What concerns TLS, as redis-py calls it.

    Raises:
        WrongUrl: a value is none, or the URL is not of TLS.
    """
    given = {name: value for name, value in options.items() if name.startswith("ssl_") and value}
    if not given:
        return {}
    if not over_tls:
        raise WrongUrl(f"{', '.join(sorted(given))} is for TLS: begin with rediss:// instead")
    result: dict[str, Any] = {name: given[name] for name in TLS_FILES if name in given}
    if "ssl_cert_reqs" in given:
        asked = given["ssl_cert_reqs"].lower().removeprefix("ssl.").removeprefix("cert_")
        if asked not in _CERTIFICATES:
            raise WrongUrl("ssl_cert_reqs is one of required, optional, none")
        result["ssl_cert_reqs"] = _CERTIFICATES[asked]
    if "ssl_check_hostname" in given:
        asked = given["ssl_check_hostname"].lower()
        if asked not in ("true", "false", "yes", "no", "1", "0"):
            raise WrongUrl("ssl_check_hostname is true or false")
        result["ssl_check_hostname"] = asked in ("true", "yes", "1")
    if result.get("ssl_cert_reqs") == "none":
        result["ssl_check_hostname"] = False  # there is nothing to hold it against
    return result


def decoded(text: str) -> str:
    """Without percent-encoding.

    Raises:
        WrongUrl: what is encoded is not UTF-8.
    """
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise WrongUrl("what is percent-encoded is not UTF-8") from None
