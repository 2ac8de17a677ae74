"""The transceiver tier: its keys, and their rules."""

from collections.abc import Iterator

import attrs

from edge.config.problems import Problem
from edge.config.rules import MAX_WORKERS, at_least, cluster_number, is_an_ip, more_than_zero, one_of, worker_count
from transceiver.audio.listening_options import Preference
from wire.core import Address

__all__ = ["TransceiverConfig", "VoiceConfig", "check_transceiver"]


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
            end then. As long, connections to realtime backends are passed on for calls that have moved. 0 ends all at
            once. Kubernetes's grace period must be longer.
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


def check_transceiver(transceiver: TransceiverConfig) -> Iterator[Problem]:
    """Find what is wrong with the tier's keys."""
    yield from is_an_ip("transceiver.hop", transceiver.hop)
    yield from is_an_ip("transceiver.control", transceiver.control)
    yield from cluster_number("transceiver.cluster", transceiver.cluster)
    yield from at_least("transceiver.max_calls", transceiver.max_calls, 1)
    yield from worker_count("transceiver", transceiver.workers, transceiver.hop[1])
    if transceiver.max_calls < transceiver.workers <= MAX_WORKERS:
        right = f"It should be at least transceiver.workers, {transceiver.workers}, so that each has a share."
        yield Problem("transceiver.max_calls", f"found {transceiver.max_calls}", right)
    yield from more_than_zero("transceiver.max_call", transceiver.max_call)
    yield from more_than_zero("transceiver.connect_timeout", transceiver.connect_timeout)
    if transceiver.drain_deadline < 0:
        found = f"found {transceiver.drain_deadline:g}"
        yield Problem("transceiver.drain_deadline", found, "It should be a number of seconds, or 0.")
    yield from _check_voice(transceiver.voice)


def _check_voice(voice: VoiceConfig) -> Iterator[Problem]:
    yield from one_of("transceiver.voice.listening", voice.listening, [each.value for each in Preference])
    for name in ("min_bitrate", "bitrate", "max_bitrate"):
        # RFC 6716 §2.1.1: what Opus can do.
        if not 6_000 <= (value := getattr(voice, name)) <= 510_000:
            yield Problem(f"transceiver.voice.{name}", f"found {value}", "It should be 6000 to 510000 bit/s.")
    if not voice.min_bitrate <= voice.bitrate <= voice.max_bitrate:
        right = f"It should lie between min_bitrate, {voice.min_bitrate}, and max_bitrate, {voice.max_bitrate}."
        yield Problem("transceiver.voice.bitrate", f"found {voice.bitrate}", right)
    if not 0 <= voice.complexity <= 10:
        yield Problem("transceiver.voice.complexity", f"found {voice.complexity}", "It should be 0 to 10.")
