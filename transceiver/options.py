"""What can be set about calls and workers, with the reason for each default."""

import attrs

from transceiver.audio.adaptation import SendingOptions
from transceiver.audio.listening_options import ListeningOptions
from transceiver.backends.choice import Backends
from wire.core import Address

__all__ = ["SessionOptions", "VoiceOptions", "WorkerOptions"]


@attrs.frozen(kw_only=True)
class VoiceOptions:
    """How callers are heard and spoken to.

    Attributes:
        listening: how long to wait for what the network delays.
        sending: bitrate and protection of what we say.
    """

    listening: ListeningOptions = attrs.field(factory=ListeningOptions)
    sending: SendingOptions = attrs.field(factory=SendingOptions)


@attrs.frozen(kw_only=True)
class SessionOptions:
    """Bounds and times of one call.

    Attributes:
        connect_timeout: seconds after which a call that never connected is given up. Browsers retry a failed POST, so
            an answer may never be used; 30 s is what comparable servers wait.
        max_call: longest call in seconds; relays refuse the call's credentials after that.
        report_interval: seconds between RTCP reports, on average (RFC 3550 §6.2: ours stay far below 5 % of the rate).
        feedback_interval: seconds between transport-wide feedback packets. Senders estimate bandwidth from it; 250 ms
            is the upper end of what libwebrtc uses, and plenty for one voice stream.
        voice: how callers are heard and spoken to.
    """

    connect_timeout: float = 30.0
    max_call: float = 7200.0
    report_interval: float = 1.0
    feedback_interval: float = 0.25
    voice: VoiceOptions = VoiceOptions()


@attrs.frozen(kw_only=True)
class WorkerOptions:
    """Where a worker listens and what it takes.

    Attributes:
        hop: address of the UDP socket that relays forward to; port 0 takes any free one.
        cluster: number of the cluster that tokens name.
        worker: number of this worker within its transceiver.
        workers: how many workers of its transceiver listen on consecutive ports, this one included; relays that know
            one find the others.
        hop_sealed: whether clients' datagrams must be sealed between relays and here.
        max_calls: calls at a time; further offers are refused with a time to retry.
        drain_deadline: seconds for which the connections to backends of calls that have moved away may stay here.
        session: bounds and times of each call.
        backends: what answers.
    """

    hop: Address
    cluster: int = 0
    worker: int = 0
    workers: int = 1
    hop_sealed: bool = False
    max_calls: int = 2000
    drain_deadline: float = 20.0
    session: SessionOptions = SessionOptions()
    backends: Backends = attrs.field(factory=Backends)
