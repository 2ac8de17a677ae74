"""What an interruption of a call costs, by the RTP on both sides and by what the browser says."""

from collections.abc import Collection, Mapping, Sequence

import attrs

from .crossing import Crossed, through_the_relay
from .nonces import numbers_of, used_twice
from .sniffing import Sniffer, is_rtp
from .stalls import silences
from .travelling import PUBLIC

__all__ = ["Cost", "Watched", "audio_of", "departures", "is_check"]

_BINDING_REQUEST = b"\x00\x01"


@attrs.frozen(kw_only=True)
class Cost:
    """What an interruption cost.

    Attributes:
        up: towards the transceiver: what left the client, and what of it came nowhere.
        down: back.
        missing: numbers that never came back, of those that the transceiver echoes; more than were lost behind a
            death, since the successor leaves some out.
        gap_ms: the longest time without audio at the client, that it did not stand still in.
        shown: numbers that make nonces, as far as they stand in the clear, of each transceiver.
        reused: those of them that were used twice.
        checks: Binding Requests of the client's between the interruption and the end of the longest gap.
        browser: how far its own counters went meanwhile: packets sent, received and lost, milliseconds concealed.
    """

    up: Crossed
    down: Crossed
    missing: int
    gap_ms: float
    shown: tuple[int, ...]
    reused: int
    checks: int
    browser: dict[str, float]

    @property
    def frames(self) -> int:
        """Packets that were lost between client and transceiver, on either way."""
        return self.up.lost + self.down.lost

    @property
    def senders(self) -> int:
        """Transceivers that have sent something under a key; of fewer than two none can have used another's number."""
        return sum(count > 0 for count in self.shown)


@attrs.frozen(kw_only=True)
class Watched:
    """What went by while something happened.

    Attributes:
        client: at the client's interface.
        hop: at that of the transceivers' host.
        stretch: from when to when packets are counted.
        at: when it happened.
        before: the browser's counters at the beginning of the stretch.
        after: at its end.
    """

    client: Sniffer
    hop: Sniffer
    stretch: tuple[float, float]
    at: float
    before: Mapping[str, float]
    after: Mapping[str, float]

    def cost(self, audio: Sequence[float], hop_ports: Collection[int]) -> Cost:
        """Count.

        Args:
            audio: when the client got audio.
            hop_ports: of the transceivers, for the relays.
        """
        begin, end = self.stretch
        up, down = through_the_relay(self.client, self.hop, self.stretch)
        numbers = [numbers_of(self.hop, port) for port in hop_ports]
        times = [*(at for at in audio if self.at - 0.1 < at < end), end]
        gap = max(silences(times, departures(self.client)), key=lambda silence: silence.seconds)
        return Cost(
            up=up,
            down=down,
            missing=self.client.heard(PUBLIC, since=begin).missing,
            gap_ms=round(1000 * gap.seconds, 1),
            shown=tuple(map(len, numbers)),
            reused=len(used_twice(*numbers)),
            checks=len(
                [each for each in self.client.to(*PUBLIC) if is_check(each.data) and self.at < each.at < gap.end]
            ),
            browser={name: round(self.after[name] - self.before[name], 1) for name in self.after},
        )


def audio_of(client: Sniffer, source: bytes, least_size: int = 0) -> list[float]:
    """When a source's audio came to the client; packets of a size, at least."""
    rtp = [each for each in client.seen if each.source == PUBLIC and is_rtp(each.data)]
    return [each.at for each in rtp if each.data[8:12] == source and len(each.data) >= least_size]


def departures(client: Sniffer) -> list[float]:
    """When the client has sent audio."""
    return [each.at for each in client.to(*PUBLIC) if is_rtp(each.data)]


def is_check(data: bytes) -> bool:
    """Whether a datagram is a Binding Request."""
    return data[:2] == _BINDING_REQUEST
