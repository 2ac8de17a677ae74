"""What a message on a data channel is to SCTP: a payload protocol identifier, and at least one byte.

Source: RFC 8831 §6.6 and §8; RFC 8832 §8.1.
"""

import enum

from wire.errors import LocalProtocolError, MalformedError

__all__ = ["Ppid", "decode_payload", "encode_payload"]


class Ppid(enum.IntEnum):
    """Payload protocol identifiers of WebRTC.

    52 and 54, for pieces of a message, are deprecated and not understood here.
    """

    DCEP = 50
    STRING = 51
    BINARY = 53
    STRING_EMPTY = 56
    BINARY_EMPTY = 57


# RFC 8831 §6.6: for an empty message, a user message of one zero byte is sent.
_EMPTY = b"\0"


def encode_payload(message: str | bytes) -> tuple[Ppid, bytes]:
    """Turn a message into what SCTP sends.

    Raises:
        LocalProtocolError: a text has lone surrogates, which UTF-8 cannot carry.
    """
    if isinstance(message, bytes):
        return (Ppid.BINARY, message) if message else (Ppid.BINARY_EMPTY, _EMPTY)
    if not message:
        return Ppid.STRING_EMPTY, _EMPTY
    try:
        return Ppid.STRING, message.encode()
    except UnicodeEncodeError as error:
        raise LocalProtocolError(f"message: {error.reason} at character {error.start}") from error


def decode_payload(ppid: int, data: bytes) -> str | bytes:
    """Turn what SCTP received into a message.

    Raises:
        MalformedError: the identifier is unknown, or a text is not UTF-8.
    """
    match ppid:
        case Ppid.STRING:
            try:
                return data.decode()
            except UnicodeDecodeError as error:
                raise MalformedError("WebRTC String", error.start, "is not UTF-8") from error
        case Ppid.BINARY:
            return data
        # RFC 8831 §6.6: the receiver MUST ignore the user message and process it as an empty message.
        case Ppid.STRING_EMPTY:
            return ""
        case Ppid.BINARY_EMPTY:
            return b""
    raise MalformedError("Payload Protocol Identifier", 0, f"{ppid} is unknown")
