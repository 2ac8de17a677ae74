"""The rules that need more than one value, or know what a key means."""

import os
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import attrs

from edge.config.backends import check_backends, warnings_about_backends
from edge.config.certificates import check_certificates, warnings_about_control
from edge.config.geography import check_geography
from edge.config.model import Config, LogConfig, RelayConfig, Role, SignalConfig, TransceiverConfig, VoiceConfig
from edge.config.problems import Problem, describe
from edge.config.store import check_store
from edge.config.values import format_address, is_ip
from edge.http.limits import HttpLimits
from relay.tcp.options import TcpOptions
from transceiver.audio.listening_options import Preference
from wire.core import Address

__all__ = ["LOG_FORMATS", "LOG_LEVELS", "check", "is_loopback", "roles_of", "warnings_about"]

LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("auto", "text", "json")
PROTOCOLS = ("udp", "tcp")

MAX_WORKERS = 255
"""A token names the worker in one byte, and so does the hop count them."""


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
        yield from _check_signal(config.signal, has_store=has_store, runs_all=runs_all)
    if config.relay:
        yield from _check_relay(config.relay, needs_transceivers=not runs_all and not has_store)
    if config.transceiver:
        yield from _check_transceiver(config.transceiver)
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
    yield from _one_of("log.level", log.level, LOG_LEVELS)
    yield from _one_of("log.format", log.format, LOG_FORMATS)


def _check_signal(signal: SignalConfig, *, has_store: bool, runs_all: bool) -> Iterator[Problem]:
    yield from _ip("signal.listen", signal.listen)
    yield from _check_limits(signal.limits)
    yield from _check_tls(signal)
    yield from _check_access(signal)
    yield from _at_least("signal.ingress_count", signal.ingress_count, 1)
    yield from _at_least("signal.tcp_ingress_count", signal.tcp_ingress_count, 0)
    yield from _at_least("signal.max_calls_per_key", signal.max_calls_per_key, 0)
    yield from _at_least("signal.max_offers_per_minute", signal.max_offers_per_minute, 0)
    yield from _at_least("signal.max_calls_per_second", signal.max_calls_per_second, 0)
    yield from _at_least("signal.max_calls_under_way", signal.max_calls_under_way, 1)
    if not 0 <= signal.max_call_wait < signal.limits.handler_timeout:
        right = f"It should be less than signal.limits.handler_timeout, {signal.limits.handler_timeout:g} seconds."
        yield Problem("signal.max_call_wait", f"found {signal.max_call_wait:g}", right)
    if not has_store and not runs_all and not signal.transceivers:
        right = 'List the control addresses of the transceivers, such as ["http://10.0.0.3:7080"], or set store.url.'
        yield Problem("signal.transceivers", "there is none", right)
    if not has_store and not signal.ingresses:
        right = 'List the public addresses of the relays, such as ["1=203.0.113.5:3478"], or set store.url.'
        yield Problem("signal.ingresses", "there is none", right)
    for index, ingress in enumerate(signal.ingresses):
        key = f"signal.ingresses[{index}]"
        yield from _ingress_id(key, ingress.id, [item.id for item in signal.ingresses[:index]])
        yield from _public("signal", key, ingress.advertise)
        yield from _one_of(f"{key}.protocol", ingress.protocol, PROTOCOLS)
    for index, transceiver in enumerate(signal.transceivers):
        yield from _base_url(f"signal.transceivers[{index}].url", transceiver.url)
    yield from check_geography(signal)


def _check_limits(limits: HttpLimits) -> Iterator[Problem]:
    for attribute in attrs.fields(HttpLimits):
        key, value = f"signal.limits.{attribute.name}", getattr(limits, attribute.name)
        yield from _at_least(key, value, 1) if attribute.type is int else _more_than_zero(key, value)


def _check_tls(signal: SignalConfig) -> Iterator[Problem]:
    files = {"signal.tls_certificate": signal.tls_certificate, "signal.tls_key": signal.tls_key}
    if (signal.tls_certificate is None) != (signal.tls_key is None):
        missing = "signal.tls_key" if signal.tls_key is None else "signal.tls_certificate"
        yield Problem(missing, "it is missing", "HTTPS needs both signal.tls_certificate and signal.tls_key.")
    for key, name in files.items():
        if name is not None and not Path(name).is_file():
            yield Problem(key, f"there is no file {describe(name)}", "Give the path of a PEM file.")


def _check_access(signal: SignalConfig) -> Iterator[Problem]:
    for index, key in enumerate(signal.api_keys):
        if not (key.isascii() and key.isprintable()) or " " in key:
            right = "A key is sent in a header: printable ASCII, without spaces."
            yield Problem(f"signal.api_keys[{index}]", "it has characters that a header cannot carry", right)
    for index, origin in enumerate(signal.allowed_origins):
        if origin == "*":
            if not signal.api_keys:
                right = "Set signal.api_keys before any web page may call, or name the pages."
                yield Problem(f"signal.allowed_origins[{index}]", 'found "*" without API keys', right)
        elif not _is_origin(origin):
            right = 'An origin is a scheme, a host and at most a port: "https://app.example.com".'
            yield Problem(f"signal.allowed_origins[{index}]", f"found {describe(origin)}", right)
    for index, host in enumerate(signal.allowed_hosts):
        if "/" in host or "@" in host or " " in host:
            right = 'A host is a name, at most with a port: "voice.example.com".'
            yield Problem(f"signal.allowed_hosts[{index}]", f"found {describe(host)}", right)


def _check_relay(relay: RelayConfig, *, needs_transceivers: bool) -> Iterator[Problem]:
    yield from _ip("relay.hop", relay.hop)
    if relay.http:
        yield from _ip("relay.http", relay.http)
    if not relay.ingresses and relay.cluster is None:
        right = 'List the public addresses of this relay, such as ["1=203.0.113.5:3478"].'
        yield Problem("relay.ingresses", "there is none", right)
    host, port = relay.hop
    hops = [(host, port + number) for number in range(max(1, min(relay.workers, MAX_WORKERS)))]
    bound = {("udp", hop): "relay.hop" for hop in hops}
    if relay.http:
        bound["tcp", relay.http] = "relay.http"
    for index, ingress in enumerate(relay.ingresses):
        key = f"relay.ingresses[{index}]"
        yield from _ingress_id(key, ingress.id, [item.id for item in relay.ingresses[:index]])
        yield from _public("relay", key, ingress.advertise)
        yield from _one_of(f"{key}.protocol", ingress.protocol, PROTOCOLS)
        yield from _ip(f"{key}.bind", ingress.bind)
        if is_ip(ingress.advertise[0]) and (":" in ingress.advertise[0]) != (":" in ingress.bind[0]):
            right = f"It must be of the same family as {key}.advertise, {format_address(ingress.advertise)}."
            yield Problem(f"{key}.bind", f"found {format_address(ingress.bind)}", right)
        binding = ingress.protocol, ingress.bind
        if ingress.bind[1] and binding in bound:
            found = f"{format_address(ingress.bind)} is taken by {bound[binding]}"
            right = "Each needs an address of its own; set `bind` to the one that clients' datagrams arrive at."
            yield Problem(f"{key}.bind", found, right)
        bound.setdefault(binding, f"{key}.bind")
    yield from _check_clusters(relay)
    if needs_transceivers and not relay.transceivers and not relay.cluster_relays:
        right = 'List the hop addresses of the transceivers, such as ["10.0.0.3:7001"], or set store.url.'
        yield Problem("relay.transceivers", "there is none", right)
    for index, address in enumerate(relay.transceivers):
        yield from _reachable(f"relay.transceivers[{index}]", address, "transceiver")
    yield from _check_workers("relay", relay.workers, relay.hop[1])
    yield from _at_least("relay.max_flows", relay.max_flows, 1)
    yield from _more_than_zero("relay.max_call", relay.max_call)


def _check_tcp(tcp: TcpOptions) -> Iterator[Problem]:
    for name in ("connections", "connections_per_source", "opening", "media_queue"):
        yield from _at_least(f"relay.tcp.{name}", getattr(tcp, name), 1)
    for name in ("opening_timeout", "stuck_timeout"):
        yield from _more_than_zero(f"relay.tcp.{name}", getattr(tcp, name))
    if 1 <= tcp.connections < tcp.opening:
        right = f"Of relay.tcp.connections, {tcp.connections}, some must be left for calls."
        yield Problem("relay.tcp.opening", f"found {tcp.opening}", right)
    if tcp.opening_timeout > 0 and not 0 <= tcp.grace <= tcp.opening_timeout:
        right = f"It must be from 0 to relay.tcp.opening_timeout, {tcp.opening_timeout:g} seconds."
        yield Problem("relay.tcp.grace", f"found {tcp.grace:g}", right)
    if tcp.queue < tcp.media_queue:
        right = f"It must be at least relay.tcp.media_queue, {tcp.media_queue} bytes."
        yield Problem("relay.tcp.queue", f"found {tcp.queue}", right)


def _check_clusters(relay: RelayConfig) -> Iterator[Problem]:
    yield from _check_tcp(relay.tcp)
    if relay.cluster is not None:
        yield from _cluster("relay.cluster", relay.cluster)
    for index, each in enumerate(relay.cluster_relays):
        yield from _cluster(f"relay.cluster_relays[{index}].cluster", each.cluster)
        if each.cluster == relay.cluster:
            right = "What this relay forwards to its own cluster goes to relay.transceivers; name other clusters here."
            yield Problem(f"relay.cluster_relays[{index}].cluster", f"found {each.cluster}, its own", right)
        yield from _reachable(f"relay.cluster_relays[{index}].hop", each.hop, "relay")
    hops = [each.hop for each in relay.cluster_relays]
    for index, hop in enumerate(hops):
        if hop in hops[:index] or hop in relay.transceivers:
            found = f"found {format_address(hop)} again"
            yield Problem(f"relay.cluster_relays[{index}].hop", found, "Whoever is there is one relay of one cluster.")


def _check_transceiver(transceiver: TransceiverConfig) -> Iterator[Problem]:
    yield from _ip("transceiver.hop", transceiver.hop)
    yield from _ip("transceiver.control", transceiver.control)
    yield from _cluster("transceiver.cluster", transceiver.cluster)
    yield from _at_least("transceiver.max_calls", transceiver.max_calls, 1)
    yield from _check_workers("transceiver", transceiver.workers, transceiver.hop[1])
    if transceiver.max_calls < transceiver.workers <= MAX_WORKERS:
        right = f"It should be at least transceiver.workers, {transceiver.workers}, so that each has a share."
        yield Problem("transceiver.max_calls", f"found {transceiver.max_calls}", right)
    yield from _more_than_zero("transceiver.max_call", transceiver.max_call)
    yield from _more_than_zero("transceiver.connect_timeout", transceiver.connect_timeout)
    if transceiver.drain_deadline < 0:
        found = f"found {transceiver.drain_deadline:g}"
        yield Problem("transceiver.drain_deadline", found, "It should be a number of seconds, or 0.")
    yield from _check_voice(transceiver.voice)


def _check_voice(voice: VoiceConfig) -> Iterator[Problem]:
    yield from _one_of("transceiver.voice.listening", voice.listening, [each.value for each in Preference])
    for name in ("min_bitrate", "bitrate", "max_bitrate"):
        # RFC 6716 §2.1.1: what Opus can do.
        if not 6_000 <= (value := getattr(voice, name)) <= 510_000:
            yield Problem(f"transceiver.voice.{name}", f"found {value}", "It should be 6000 to 510000 bit/s.")
    if not voice.min_bitrate <= voice.bitrate <= voice.max_bitrate:
        right = f"It should lie between min_bitrate, {voice.min_bitrate}, and max_bitrate, {voice.max_bitrate}."
        yield Problem("transceiver.voice.bitrate", f"found {voice.bitrate}", right)
    if not 0 <= voice.complexity <= 10:
        yield Problem("transceiver.voice.complexity", f"found {voice.complexity}", "It should be 0 to 10.")


def _check_workers(section: str, workers: int, port: int) -> Iterator[Problem]:
    if not 1 <= workers <= MAX_WORKERS:
        yield Problem(f"{section}.workers", f"found {workers}", f"It should be 1 to {MAX_WORKERS}.")
    elif port and port + workers - 1 > 65_535:
        right = f"With {workers} workers, each on a port of its own, it should be {65_536 - workers} at most."
        yield Problem(f"{section}.hop", f"found port {port}", right)


def _cluster(key: str, value: int) -> Iterator[Problem]:
    if not 0 <= value <= 65_535:
        yield Problem(key, f"found {value}", "It should be 0 to 65535.")


def _reachable(key: str, address: Address, what: str) -> Iterator[Problem]:
    host, port = address
    if not port or host in {"0.0.0.0", "::"}:  # noqa: S104 - refused, not bound
        right = f"Give the address that the {what} is reached at, with its port."
        yield Problem(key, f"found {format_address(address)}", right)


def _one_of(key: str, value: str, allowed: Sequence[str]) -> Iterator[Problem]:
    if value not in allowed:
        names = [f'"{name}"' for name in allowed]
        right = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
        yield Problem(key, f"found {describe(value)}", f"It should be {right}.")


def _at_least(key: str, value: int, minimum: int) -> Iterator[Problem]:
    if value < minimum:
        yield Problem(key, f"found {value}", f"It should be at least {minimum}.")


def _more_than_zero(key: str, value: float) -> Iterator[Problem]:
    if value <= 0:
        yield Problem(key, f"found {value:g}", "It should be more than 0 seconds.")


def _ip(key: str, address: Address) -> Iterator[Problem]:
    host, port = address
    if not is_ip(host):
        instead = format_address(("127.0.0.1" if host == "localhost" else "0.0.0.0", port))  # noqa: S104 - advice
        yield Problem(key, f"found the name {describe(host)}", f'It should be an IP address, such as "{instead}".')


def _public(section: str, key: str, address: Address) -> Iterator[Problem]:
    host, port = address
    right = f'It goes into answers, so it must be an IP address that clients reach ("203.0.113.5:{port or 3478}").'
    if not is_ip(host):
        yield Problem(f"{key}.advertise", f"found the name {describe(host)}", right)
    elif ip_address(host).is_unspecified or ip_address(host).is_multicast:
        yield Problem(f"{key}.advertise", f"found {format_address(address)}", right)
    elif not port:
        yield Problem(f"{key}.advertise", "found port 0", f"Clients need to know the {section}'s port: 3478 is usual.")


def _ingress_id(key: str, number: int, earlier: Sequence[int]) -> Iterator[Problem]:
    if not 1 <= number <= 65_535:
        yield Problem(f"{key}.id", f"found {number}", "It should be 1 to 65535.")
    elif number in earlier:
        yield Problem(f"{key}.id", f"found {number} again", "Each ingress of the fleet has a number of its own.")


def _base_url(key: str, url: str) -> Iterator[Problem]:
    right = 'It should be the base URL of a control address, such as "http://10.0.0.3:7080".'
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number
        usable = None
    if not usable or parts.path not in {"", "/"} or parts.query or parts.fragment or "@" in parts.netloc:
        yield Problem(key, f"found {describe(url)}", right)


def _is_origin(origin: str) -> bool:
    try:
        parts = urlsplit(origin)
        return bool(parts.hostname) and origin.lower() == f"{parts.scheme}://{parts.netloc.lower()}"
    except ValueError:
        return False
