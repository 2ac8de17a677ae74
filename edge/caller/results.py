"""What a call was like, as numbers: taken from a session, shown by `printing`, judged by `load`."""

import statistics
from collections.abc import Mapping

import attrs

from edge.caller.session import CallerSession

__all__ = ["MediaStatistics", "Timeline"]


@attrs.frozen(kw_only=True)
class Timeline:
    """How long each step took, in seconds since the POST was begun; None for what was not reached.

    Attributes:
        answer: the server's answer was there.
        ice: a path to the server was proven.
        dtls: the handshake was over.
        first_audio: the first audio came back.
    """

    answer: float
    ice: float | None
    dtls: float | None
    first_audio: float | None

    @classmethod
    def of(cls, session: CallerSession, posted_at: float, answered_at: float) -> "Timeline":
        """Take the times of a session."""

        def since(when: float | None) -> float | None:
            return when - posted_at if when is not None else None

        return cls(
            answer=answered_at - posted_at,
            ice=since(session.ice_at),
            dtls=since(session.secured_at),
            first_audio=since(session.heard_at),
        )


@attrs.frozen(kw_only=True)
class MediaStatistics:
    """The audio of a call.

    Attributes:
        sent: packets sent.
        received: packets that came back.
        lost: gaps in what came back.
        lost_on_the_way_there: what the server says it missed of ours; None before it said anything.
        jitter: of what came back, in seconds (RFC 3550 §6.4.1).
        round_trip: to the server and back without audio, in seconds; None when it was never measured.
        echo_delay: from sending a packet to its echo, the median in seconds; None when nothing came back.
        feedback: transport-wide feedback packets received.
        dropped: datagrams that were not used, by reason.
    """

    sent: int
    received: int
    lost: int
    lost_on_the_way_there: int | None
    jitter: float
    round_trip: float | None
    echo_delay: float | None
    feedback: int
    dropped: Mapping[str, int]

    @classmethod
    def of(cls, session: CallerSession) -> "MediaStatistics":
        """Take the numbers of a session as they are now."""
        source = session.outbound.source if session.outbound is not None else None
        inbound = session.inbound
        heard = inbound.statistics if inbound is not None else None
        delays = inbound.probe.delays if inbound is not None else []
        reported = source is not None and source.round_trip_time is not None
        return cls(
            sent=source.packet_count if source is not None else 0,
            received=heard.received_count if heard is not None else 0,
            lost=max(heard.lost_count, 0) if heard is not None else 0,
            lost_on_the_way_there=source.cumulative_lost if source is not None and reported else None,
            jitter=heard.jitter if heard is not None else 0.0,
            # A check of the path is a plain round trip; a report is timed by the peer's clockwork as well.
            round_trip=session.round_trip_time or (source.round_trip_time if source is not None else None),
            echo_delay=statistics.median(delays) if delays else None,
            feedback=session.reports.feedback_count if session.reports is not None else 0,
            dropped={str(reason): count for reason, count in session.dropped().items()},
        )
