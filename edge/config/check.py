"""All rules about a configuration whose values are well formed, and those between the tiers."""

import os
from collections.abc import Iterator
from ipaddress import ip_address

from edge.config.backends import check_backends, warnings_about_backends
from edge.config.certificates import check_certificates, warnings_about_control
from edge.config.geography import check_geography
from edge.config.model import Config, LogConfig, Role
from edge.config.problems import Problem
from edge.config.relay import check_relay
from edge.config.rules import one_of
from edge.config.signal import check_signal
from edge.config.store import check_store
from edge.config.transceiver import check_transceiver
from edge.config.values import format_address, is_ip

__all__ = ["LOG_FORMATS", "LOG_LEVELS", "check", "is_loopback", "roles_of", "warnings_about"]

LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("auto", "text", "json")


def roles_of(config: Config) -> tuple[Role, ...]:
    """List the roles that a process with this configuration runs."""
    sections = {Role.SIGNAL: config.signal, Role.RELAY: config.relay, Role.TRANSCEIVER: config.transceiver}
    return tuple(role for role, section in sections.items() if section is not None)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host."""
    return host == "localhost" or (is_ip(host) and ip_address(host).is_loopback)


def check(config: Config) -> Iterator[Problem]:
    """Find everything that is wrong with a configuration whose values are well formed."""
    yield from _check_log(config.log)
    yield from check_store(config.store, config.node)
    runs_all = len(roles_of(config)) == len(Role)
    has_store = config.store.url is not None
    if config.signal:
        yield from check_signal(config.signal, has_store=has_store, runs_all=runs_all)
        yield from check_geography(config.signal)
    if config.relay:
        yield from check_relay(config.relay, needs_transceivers=not runs_all and not has_store)
    if config.transceiver:
        yield from check_transceiver(config.transceiver)
        yield from check_backends(config.backend, config.transceiver.backend)
    yield from check_certificates(config)
    if config.relay and config.transceiver and config.relay.max_call < config.transceiver.max_call:
        found = f"found {config.relay.max_call:g}"
        yield Problem(
            "relay.max_call", found, f"It must be at least transceiver.max_call, {config.transceiver.max_call:g}."
        )
    if (has_store or not runs_all) and not config.keys:
        right = 'Give the path of the key bundle of this role; `trio-voice keys new DIR` writes it to "DIR/ROLE.keys".'
        yield Problem("keys", "it is missing", right)


def warnings_about(config: Config) -> Iterator[str]:
    """Find what works, but is probably not meant."""
    signal = config.signal
    if signal and not signal.api_keys and not is_loopback(signal.listen[0]):
        yield (
            f"signal.listen is {format_address(signal.listen)}, but without signal.api_keys only callers on this "
            "machine are served"
        )
    if signal and not is_loopback(signal.listen[0]) and not signal.tls_certificate and not signal.trusted_proxies:
        yield (
            "signal speaks plain HTTP on an address that others reach: browsers allow the microphone only on HTTPS "
            "pages; set signal.tls_certificate and signal.tls_key, or put a proxy before it"
        )
    transceiver = config.transceiver
    if transceiver and not is_loopback(transceiver.control[0]) and not transceiver.tls_client_ca:
        yield (
            f"transceiver.control is {format_address(transceiver.control)}: its HTTP is authenticated but not "
            "encrypted; set transceiver.tls_certificate, tls_key and tls_client_ca, or keep it inside a private network"
        )
    yield from warnings_about_control(config)
    for name, section in (("relay", config.relay), ("transceiver", config.transceiver)):
        if section and section.workers > max(1, cores := _cores()):
            yield (
                f"{name}.workers is {section.workers}, but this process may use {cores} of the machine's cores: more "
                "workers than that cost memory and win nothing"
            )
    if config.transceiver:
        yield from warnings_about_backends(config.backend)


def _cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _check_log(log: LogConfig) -> Iterator[Problem]:
    yield from one_of("log.level", log.level, LOG_LEVELS)
    yield from one_of("log.format", log.format, LOG_FORMATS)
