"""What data channels report, besides `sctp.events.Connected` and `Restarted`, and `wire.core.Closed`."""

import enum

import attrs

from sctp.channel import Channel
from wire.core import Event

__all__ = ["ChannelClosed", "ChannelDropReason", "ChannelOpened", "MessageReceived"]


@attrs.frozen(kw_only=True)
class ChannelOpened(Event):
    """A channel can be used in both directions: the peer has opened it, or knows of the one that we opened.

    Attributes:
        channel: its properties.
        is_ours: whether we have opened it.
    """

    channel: Channel
    is_ours: bool


@attrs.frozen(kw_only=True)
class MessageReceived(Event):
    """The peer sent a message.

    Attributes:
        channel_id: on which channel.
        message: text or bytes; may be empty.
    """

    channel_id: int
    message: str | bytes


@attrs.frozen(kw_only=True)
class ChannelClosed(Event):
    """Nothing comes through a channel any more: the peer closed it, or has answered that we did, or broke a rule on it.

    Comes once for each channel, also for one that we wanted to open and the peer refused.

    Attributes:
        channel_id: which channel.
    """

    channel_id: int


class ChannelDropReason(enum.StrEnum):
    """Why a message was dropped; beside `sctp.drops.DropReason` in the same counter."""

    MALFORMED_DCEP = "malformed-dcep"
    CHANNEL_IN_USE = "channel-in-use"
    CHANNEL_PARITY = "channel-parity"
    TOO_MANY_CHANNELS = "too-many-channels"
    LABEL_TOO_LONG = "label-too-long"
    UNEXPECTED_ACK = "unexpected-ack"
    UNOPENED_CHANNEL = "unopened-channel"
    CLOSING_CHANNEL = "closing-channel"
    ONE_WAY_STREAM = "one-way-stream"
    """The peer has said that it takes fewer streams: there is none of ours that could answer or be reset."""
    UNREADABLE_MESSAGE = "unreadable-message"
    NO_ROOM_TO_ANSWER = "no-room-to-answer"
