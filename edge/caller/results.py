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
            first_audio=since(session.media.heard_at if session.media is not None else None),
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

    sent: int = 0
    received: int = 0
    lost: int = 0
    lost_on_the_way_there: int | None = None
    jitter: float = 0.0
    round_trip: float | None = None
    echo_delay: float | None = None
    feedback: int = 0
    dropped: Mapping[str, int]

    @classmethod
    def of(cls, session: CallerSession) -> "MediaStatistics":
        """Take the numbers of a session as they are now."""
        dropped = {str(reason): count for reason, count in session.dropped().items()}
        media = session.media
        if media is None:
            return cls(dropped=dropped)
        source, heard, delays = media.outbound.source, media.inbound.statistics, media.inbound.probe.delays
        return cls(
            sent=source.packet_count,
            received=heard.received_count if heard is not None else 0,
            lost=max(heard.lost_count, 0) if heard is not None else 0,
            lost_on_the_way_there=source.cumulative_lost if media.reports.was_reported else None,
            jitter=heard.jitter if heard is not None else 0.0,
            # Reports measure while audio flows; the last check of the path may be from the busy moment of the set-up.
            round_trip=source.round_trip_time or session.round_trip_time,
            echo_delay=statistics.median(delays) if delays else None,
            feedback=media.reports.feedback_count,
            dropped=dropped,
        )
