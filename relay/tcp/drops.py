"""Why a TCP connection was ended, or what was for one was not sent."""

import enum

__all__ = ["TcpDropReason"]


class TcpDropReason(enum.StrEnum):
    """Counted with the relay's other drops; the first group are connections, the second datagrams."""

    SOURCE_CONNECTIONS = "tcp-source-connections"
    """Refused: its source (an IPv4 address, an IPv6 /64) has as many connections as one may."""
    TOO_MANY_CONNECTIONS = "tcp-too-many-connections"
    """Refused: there are as many as there may be, and none of them yields."""
    CROWDED_OUT = "tcp-crowded-out"
    """It had said nothing useful for a while, and its place was wanted."""
    SILENT = "tcp-silent"
    """It was open for some seconds without a whole first frame."""
    NOT_AUTHENTIC = "tcp-not-authentic"
    """Its first frame was no Binding Request that made a claim."""
    FRAME_TOO_LONG = "tcp-frame-too-long"
    """It sent the length of no datagram: another protocol, or a broken peer."""
    NO_CLAIM = "tcp-no-claim"
    """No session has claimed it for some seconds: its call has ended, or it has said nothing authentic for long."""
    STUCK = "tcp-stuck"
    """It has taken nothing for so long that what waits for it is of no use any more."""
    REPLACED = "tcp-replaced"
    """Its client's address has made a new connection: the old one is dead, and we had not noticed."""
    NO_FILES = "tcp-no-files"
    """The system gave us no file for a connection; accepting rests for a moment."""

    MEDIA_QUEUE_FULL = "tcp-media-queue-full"
    """RTP or RTCP for a connection that takes it too slowly: what waits already is old enough."""
    QUEUE_FULL = "tcp-queue-full"
    """Anything for a connection for which too much waits already."""
    NO_CONNECTION = "tcp-no-connection"
    """From a transceiver, for a client whose connection is not there, or has not shown a right yet."""
