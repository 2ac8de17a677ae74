"""Every configuration key, as frozen records.

A key's name in the TOML file is its path here: `SignalConfig.listen` is `signal.listen`, and the environment
variable that overrides it is `TRIO_VOICE_SIGNAL_LISTEN`. The "Attributes" sections below are what
`trio-voice config` prints beside each key, so they are written for an operator.

Addresses are `(host, port)` pairs here and "HOST:PORT" in the file.
"""

import enum
from ipaddress import IPv4Network, IPv6Network

import attrs

from edge.config.backends import BackendConfig
from edge.config.store import NodeConfig, StoreConfig
from edge.http.limits import HttpLimits
from geo.regions import Place
from relay.tcp.options import TcpOptions
from wire.core import Address

__all__ = [
    "DEFAULT_LISTEN",
    "BackendConfig",
    "ClusterRelay",
    "Config",
    "LogConfig",
    "Network",
    "NodeConfig",
    "RegionConfig",
    "RelayConfig",
    "RelayIngress",
    "ResidencyConfig",
    "Role",
    "SignalConfig",
    "SignalIngress",
    "StoreConfig",
    "TransceiverConfig",
    "TransceiverEndpoint",
    "VoiceConfig",
]

Network = IPv4Network | IPv6Network

DEFAULT_LISTEN: Address = ("127.0.0.1", 8080)


class Role(enum.StrEnum):
    """A tier that a process can run; without one it runs all three."""

    SIGNAL = "signal"
    RELAY = "relay"
    TRANSCEIVER = "transceiver"


@attrs.frozen(kw_only=True)
class LogConfig:
    """What is logged, and how.

    Attributes:
        level: the least important level that is still logged: "debug", "info", "warning" or "error".
        format: "text" for people, "json" for machines, "auto" for text on a terminal and JSON elsewhere.
    """

    level: str = "info"
    format: str = "auto"


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
            answers slowly gets no more.
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


@attrs.frozen(kw_only=True)
class RelayIngress:
    """A public address of a relay; in short form "ID=IP:PORT", "ID=tcp:IP:PORT" or "ID=IP:PORT/BIND_IP:BIND_PORT".

    Attributes:
        id: number of the ingress, 1 to 65535, unique in the fleet.
        advertise: IP address and port that clients reach.
        bind: IP address and port to bind; left out, the port of `advertise` on every address of the machine. With TCP
            and all roles in one process it may be that of signal.listen: the first byte of a connection tells whose it
            is.
        protocol: "udp", or "tcp" for clients whose network blocks UDP; the usual port for these is 443.
    """

    id: int
    advertise: Address
    bind: Address
    protocol: str = "udp"


@attrs.frozen(kw_only=True)
class ClusterRelay:
    """A relay of another cluster; in short form "CLUSTER=HOST:PORT".

    Attributes:
        cluster: the cluster's number, 0 to 65535, as its transceivers are configured with.
        hop: address ("HOST:PORT") of the relay's hop socket; a host may be a name, resolved at start and at every
            reload. Of a relay with several workers each is an entry of its own, on consecutive ports.
    """

    cluster: int
    hop: Address


@attrs.frozen(kw_only=True)
class RelayConfig:
    """The relay tier: owns the public ports of the media and forwards to transceivers.

    Attributes:
        hop: IP address and UDP port to bind for the traffic with transceivers; never the public one.
        ingresses: public addresses of this relay, each with a socket of its own.
        transceivers: hop addresses ("HOST:PORT") of the transceivers, one each however many workers they have; a host
            may be a name, resolved at start and at every reload.
        cluster_relays: relays of other clusters, to which calls of these clusters are forwarded; several of a cluster
            stand in for each other. A relay that has some is a global one.
        cluster: number of the cluster that this relay serves for global relays: it forwards what they send to its own
            transceivers, and needs no public address then. Left out, it takes nothing from other relays.
        hop_sealed: encrypt clients' datagrams on their way to and from transceivers and relays of other clusters,
            headers included; for a hop that leaves the cluster. It costs CPU for each packet. True at either end is
            enough.
        http: IP address and TCP port of /healthz, /readyz and /metrics; left out, there is none.
        workers: processes that share the clients, one for each core that the relay may use; with more than one, a
            worker that dies is replaced at once. They bind consecutive UDP ports, counting up from that of `hop`.
        reload_socket: path of a Unix socket by which `trio-voice reload` finds the running relay, to replace it without
            a lost packet; left out, there is none.
        max_flows: how many client addresses each worker remembers; new ones are refused when the table is full.
        max_call: seconds after which a call's credentials are refused; not less than the transceivers' `max_call`.
        tcp: what clients over TCP may take of each worker.
    """

    hop: Address = ("0.0.0.0", 7000)  # noqa: S104 - a relay is reached from other hosts, and the hop is authenticated
    ingresses: tuple[RelayIngress, ...] = ()
    transceivers: tuple[Address, ...] = ()
    cluster_relays: tuple[ClusterRelay, ...] = ()
    cluster: int | None = None
    hop_sealed: bool = False
    http: Address | None = None
    workers: int = 1
    reload_socket: str | None = None
    max_flows: int = 100_000
    max_call: float = 7200.0
    tcp: TcpOptions = attrs.field(factory=TcpOptions)


@attrs.frozen(kw_only=True)
class VoiceConfig:
    """How callers are heard and spoken to, where the backend wants decoded audio.

    Attributes:
        listening: what matters more when packets are late: "fast" (hear soon), "accurate" (hear all), or "balanced".
        bitrate: of our Opus on a good path, in bit/s.
        min_bitrate: where a path that is full may push it.
        max_bitrate: where it may rise to while losses ask for redundancy.
        complexity: how much CPU Opus may take to sound better, 0 to 10; 5 costs about 0.1 ms for 20 ms of speech.
    """

    listening: str = "balanced"
    bitrate: int = 32_000
    min_bitrate: int = 12_000
    max_bitrate: int = 40_000
    complexity: int = 5


@attrs.frozen(kw_only=True)
class TransceiverConfig:
    """The transceiver tier: terminates calls.

    Attributes:
        hop: IP address and UDP port to bind for the traffic with relays.
        control: IP address and TCP port of the control API, which signal calls, and of /healthz, /readyz, /metrics.
        tls_certificate: PEM file with this transceiver's certificate; with `tls_key` and `tls_client_ca` the control
            API is HTTPS, and obeys only who shows a certificate of the role signal or operator (`trio-voice keys ca`).
        tls_key: PEM file with the certificate's private key.
        tls_client_ca: PEM file with the authority of those who may command.
        hop_sealed: take and send clients' datagrams only encrypted, from and to all relays; see relay.hop_sealed.
        cluster: number of the cluster, 0 to 65535; part of what a call's credentials say to relays.
        backend: what answers calls whose model no [[backend]] claims: "parrot", "echo", "agent:MODULE:FUNCTION",
            "realtime:wss://HOST/PATH", or the name of a [[backend]]. Left out, calls that name no model go to the first
            [[backend]] and models that none claims are refused; without any, the parrot answers.
        workers: processes that share the calls, since one process uses one core. Each has a UDP port of its own,
            counting up from that of `hop`; relays find all of them by one address.
        max_calls: calls at a time, shared out among the workers; further offers are refused with a time to retry.
        max_call: seconds after which a call is ended.
        connect_timeout: seconds a call may take to connect before it is given up.
        failover: whether calls can go on in another transceiver of the cluster, with store.url: sealed snapshots of
            them are kept in the store. Without it, keys never leave the process.
        drain_deadline: seconds in which calls are moved to others when the process is told to stop; those that are left
            end then. 0 ends them at once. Kubernetes's grace period must be longer.
        voice: how callers are heard and spoken to.
    """

    hop: Address = ("0.0.0.0", 7001)  # noqa: S104 - as for a relay
    control: Address = ("127.0.0.1", 7080)
    tls_certificate: str | None = None
    tls_key: str | None = None
    tls_client_ca: str | None = None
    hop_sealed: bool = False
    cluster: int = 0
    backend: str | None = None
    workers: int = 1
    max_calls: int = 2000
    max_call: float = 7200.0
    connect_timeout: float = 30.0
    failover: bool = True
    drain_deadline: float = 20.0
    voice: VoiceConfig = attrs.field(factory=VoiceConfig)


@attrs.frozen(kw_only=True)
class Config:
    """All that a process is told.

    Attributes:
        keys: path of the role's key bundle, or a folder that holds signal.keys, relay.keys and transceiver.keys, both
            as `trio-voice keys new` writes them. `trio-voice serve` without a role makes keys of its own when left out.
        backend: backends by the models that they answer for; the first that matches wins.
        log: logging.
        node: what this process is called in its fleet.
        store: what the processes of a fleet share.
        signal: the signal tier; None when this process does not run it.
        relay: the relay tier; None when this process does not run it.
        transceiver: the transceiver tier; None when this process does not run it.
    """

    keys: str | None = None
    backend: tuple[BackendConfig, ...] = ()
    log: LogConfig = attrs.field(factory=LogConfig)
    node: NodeConfig = attrs.field(factory=NodeConfig)
    store: StoreConfig = attrs.field(factory=StoreConfig)
    signal: SignalConfig | None = None
    relay: RelayConfig | None = None
    transceiver: TransceiverConfig | None = None
