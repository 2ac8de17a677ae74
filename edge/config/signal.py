"""The signal tier: its keys, and their rules."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import attrs

from edge.config.problems import Problem, describe
from edge.config.rules import PROTOCOLS, at_least, base_url, ingress_id, is_an_ip, more_than_zero, one_of, public
from edge.config.values import Network
from edge.http.limits import HttpLimits
from geo.regions import Place
from wire.core import Address

__all__ = [
    "DEFAULT_LISTEN",
    "RegionConfig",
    "ResidencyConfig",
    "SignalConfig",
    "SignalIngress",
    "TransceiverEndpoint",
    "check_signal",
]

DEFAULT_LISTEN: Address = ("127.0.0.1", 8080)


@attrs.frozen(kw_only=True)
class RegionConfig:
    """A region that ingresses and transceivers name; in short form "NAME" or "NAME=LATITUDE/LONGITUDE".

    Attributes:
        name: a short name of your choice, such as "eu-west".
        location: "LATITUDE, LONGITUDE" in degrees; without it distance plays no part in choosing the region.
        capacity: calls that all transceivers of the region together may have, as its backends or its uplink bear; calls
            go elsewhere before. 0 for as many as the transceivers take.
        draining: true while the region is to get no new call that another region can take.
    """

    name: str
    location: Place | None = None
    capacity: int = 0
    draining: bool = False


@attrs.frozen(kw_only=True)
class ResidencyConfig:
    """Calls that may be in some regions only, relays too; in short form "COUNTRY=REGION" or "COUNTRY=REGION+REGION".

    Attributes:
        regions: names of the regions that are allowed. When several entries apply to a call, only the regions that all
            of them name are, and without any such region the call is refused.
        countries: two-letter codes (ISO 3166) of the callers' countries that it is for, "??" for callers whose country
            nobody knows; left out, callers from everywhere.
        models: models that it is for; "*" stands for any letters ("bank-*"). Left out, all.
        api_keys: those of signal.api_keys that it is for, their client secrets included; left out, all.
    """

    regions: tuple[str, ...]
    countries: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    api_keys: tuple[str, ...] = attrs.field(default=(), repr=False)


@attrs.frozen(kw_only=True)
class TransceiverEndpoint:
    """A transceiver that signal may ask for calls; in short form "URL" or "URL@REGION".

    Attributes:
        url: base URL of its control address, such as "http://10.0.0.3:7080".
        region: name of the region it is in.
    """

    url: str
    region: str | None = None


@attrs.frozen(kw_only=True)
class SignalIngress:
    """A relay address that answers may offer; in short form "ID=IP:PORT", "ID=tcp:IP:PORT" or "ID=IP:PORT@REGION".

    Attributes:
        id: number of the ingress, 1 to 65535, the same as in the relay's configuration.
        advertise: IP address and port that clients reach.
        region: name of the region it is in.
        protocol: "udp", or "tcp" for clients whose network blocks UDP.
        relay: a name of your choice for the relay that it is of, when one relay has several addresses: an answer offers
            addresses of different relays.
        machine: the same for the machine that the relay runs on; left out, the address stands for it. An answer offers
            addresses of different machines where that is not much further.
    """

    id: int
    advertise: Address
    region: str | None = None
    protocol: str = "udp"
    relay: str | None = None
    machine: str | None = None


@attrs.frozen(kw_only=True)
class SignalConfig:
    """The signal tier: takes offers over HTTP and returns answers.

    Attributes:
        listen: IP address and TCP port of the HTTP server. Without `api_keys` it serves only callers on this machine.
        tls_certificate: PEM file with the certificate chain; with `tls_key` the server speaks HTTPS.
        tls_key: PEM file with the certificate's private key.
        control_certificate: PEM file with the certificate that this server shows to transceivers with an https URL; see
            transceiver.tls_client_ca.
        control_key: PEM file with that certificate's private key.
        control_ca: PEM file with the authority of the transceivers' certificates.
        api_keys: bearer keys, one of which a caller has to show.
        allowed_origins: origins of web pages ("https://app.example.com") that may call from a browser; "*" for any,
            which needs `api_keys`. The server's own page is always allowed.
        allowed_hosts: host names that requests may name beside the address listened on ("voice.example.com").
        transceivers: transceivers to place calls on.
        ingresses: relay addresses to offer to clients. Left out, those of the [relay] section of the same file.
        ingress_count: how many of those with UDP one answer offers; the client's own ICE fails over among them.
        tcp_ingress_count: how many of those with TCP it offers beside them, each of which a browser connects to at
            once; 0 for none.
        regions: regions by name, with their locations.
        residency: which calls may only be in some regions.
        region: name of the region that this server is in; its location is that of callers of whom nothing else is
            known. Left out, node.region.
        location: "LATITUDE, LONGITUDE" of such callers, in place of that of `region`.
        location_headers: names of the two headers in which a trusted proxy gives the caller's latitude and longitude,
            such as ["CF-IPLatitude", "CF-IPLongitude"].
        country_header: name of the header in which a trusted proxy gives the caller's country as a two-letter code,
            such as "CF-IPCountry".
        location_database: path of a MaxMind-format file (GeoLite2-City.mmdb) that tells where a caller's address is
            when no header does; a newer file under the same path is used at once. It needs the package "maxminddb":
            pip install trio-voice[geo].
        trusted_proxies: networks ("10.0.0.0/8") of the proxies whose headers are believed, X-Forwarded-For included:
            the last address in it that is not one of theirs is the caller's.
        max_calls_per_key: calls that one API key may have at a time, those of its client secrets included; one more
            gets a 429 with a time to retry. 0 for no bound. Counted over the whole fleet, once a second.
        max_offers_per_minute: offers that one IPv4 address, or one IPv6 /64, may send to this server within a minute;
            one more gets a 429. 0 for no bound. Behind a proxy set `trusted_proxies`, or all callers are one address.
        max_calls_per_second: calls that this server begins in a second, so that a crowd that comes at once does not
            disturb the calls that are; more have to wait. 0 for no bound.
        max_call_wait: seconds that an offer may wait for its turn then; beyond, it gets a 503 with a time to retry.
        max_calls_under_way: calls that this server may be placing on one transceiver at a time; a transceiver that
            answers slowly gets no more. With all of them so busy, an offer waits for one, as long as for its turn.
        limits: what HTTP clients may take.
    """

    listen: Address = DEFAULT_LISTEN
    tls_certificate: str | None = None
    tls_key: str | None = None
    control_certificate: str | None = None
    control_key: str | None = None
    control_ca: str | None = None
    api_keys: tuple[str, ...] = attrs.field(default=(), repr=False)
    allowed_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    transceivers: tuple[TransceiverEndpoint, ...] = ()
    ingresses: tuple[SignalIngress, ...] = ()
    ingress_count: int = 2
    tcp_ingress_count: int = 1
    regions: tuple[RegionConfig, ...] = ()
    residency: tuple[ResidencyConfig, ...] = ()
    region: str | None = None
    location: Place | None = None
    location_headers: tuple[str, ...] = ()
    country_header: str | None = None
    location_database: str | None = None
    trusted_proxies: tuple[Network, ...] = ()
    max_calls_per_key: int = 0
    max_offers_per_minute: int = 0
    max_calls_per_second: int = 100
    max_call_wait: float = 3.0
    max_calls_under_way: int = 32
    limits: HttpLimits = attrs.field(factory=HttpLimits)


def check_signal(signal: SignalConfig, *, has_store: bool, runs_all: bool) -> Iterator[Problem]:
    """Find what is wrong with the tier's keys, but for where callers and regions are (`geography`)."""
    yield from is_an_ip("signal.listen", signal.listen)
    yield from _check_limits(signal.limits)
    yield from _check_tls(signal)
    yield from _check_access(signal)
    yield from at_least("signal.ingress_count", signal.ingress_count, 1)
    yield from at_least("signal.tcp_ingress_count", signal.tcp_ingress_count, 0)
    yield from at_least("signal.max_calls_per_key", signal.max_calls_per_key, 0)
    yield from at_least("signal.max_offers_per_minute", signal.max_offers_per_minute, 0)
    yield from at_least("signal.max_calls_per_second", signal.max_calls_per_second, 0)
    yield from at_least("signal.max_calls_under_way", signal.max_calls_under_way, 1)
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
        yield from ingress_id(key, ingress.id, [item.id for item in signal.ingresses[:index]])
        yield from public("signal", key, ingress.advertise)
        yield from one_of(f"{key}.protocol", ingress.protocol, PROTOCOLS)
    for index, transceiver in enumerate(signal.transceivers):
        yield from base_url(f"signal.transceivers[{index}].url", transceiver.url)


def _check_limits(limits: HttpLimits) -> Iterator[Problem]:
    for attribute in attrs.fields(HttpLimits):
        key, value = f"signal.limits.{attribute.name}", getattr(limits, attribute.name)
        yield from at_least(key, value, 1) if attribute.type is int else more_than_zero(key, value)


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


def _is_origin(origin: str) -> bool:
    try:
        parts = urlsplit(origin)
        return bool(parts.hostname) and origin.lower() == f"{parts.scheme}://{parts.netloc.lower()}"
    except ValueError:
        return False
