"""What a reload (SIGHUP) can change while calls go on, and what has to wait for a restart."""

from typing import TypeVar

import attrs

from edge.config.catalogue import all_keys
from edge.config.model import Config

__all__ = ["RELOADABLE", "what_can_change"]

Record = TypeVar("Record", bound=attrs.AttrsInstance)

RELOADABLE = frozenset(
    {
        "keys",
        "backend",
        "log.level",
        "log.format",
        "signal.control_certificate",
        "signal.control_key",
        "signal.control_ca",
        "signal.api_keys",
        "signal.allowed_origins",
        "signal.allowed_hosts",
        "signal.transceivers",
        "signal.ingresses",
        "signal.ingress_count",
        "signal.tcp_ingress_count",
        "signal.regions",
        "signal.location",
        "signal.location_headers",
        "signal.trusted_proxies",
        "signal.max_calls_per_key",
        "signal.max_offers_per_minute",
        "signal.max_calls_per_second",
        "signal.max_call_wait",
        "signal.max_calls_under_way",
        "relay.transceivers",
        "relay.cluster_relays",
        "transceiver.tls_certificate",
        "transceiver.tls_key",
        "transceiver.tls_client_ca",
        "transceiver.backend",
        "transceiver.max_calls",
        "transceiver.max_call",
        "transceiver.connect_timeout",
        "transceiver.voice.listening",
        "transceiver.voice.bitrate",
        "transceiver.voice.min_bitrate",
        "transceiver.voice.max_bitrate",
        "transceiver.voice.complexity",
    }
)
"""Everything else is bound to sockets, or to what calls that are going on were promised."""


def what_can_change(old: Config, new: Config) -> tuple[Config, tuple[str, ...]]:
    """Split a new configuration into what applies now and what needs a restart.

    Returns:
        The configuration to apply: the new one, but with the old values of what needs a restart; and the keys of those
        that differ.
    """
    waiting = []
    applied = new
    for key in all_keys():
        present, wanted = _get(old, key.path), _get(new, key.path)
        if key.dotted not in RELOADABLE and present != wanted:
            waiting.append(key.dotted)
            applied = _replace(applied, key.path, present)
    if "relay.ingresses" in waiting and applied.signal is not None and old.signal is not None:
        # Signal must not offer what the relay beside it does not listen on yet.
        applied = attrs.evolve(applied, signal=attrs.evolve(applied.signal, ingresses=old.signal.ingresses))
    return applied, tuple(waiting)


def _get(record: object, path: tuple[str, ...]) -> object:
    for name in path:
        record = getattr(record, name, None)  # a section that does not run here has no values
    return record


def _replace(record: Record, path: tuple[str, ...], value: object) -> Record:
    name = path[0]
    below = value if len(path) == 1 else _replace(getattr(record, name), path[1:], value)
    replaced: Record = attrs.evolve(record, **{name: below})  # type: ignore[misc]  # a section, by its name
    return replaced
