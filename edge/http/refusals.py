"""How the server words what it refuses by itself, before or instead of the handler."""

from edge.http.errors import error_response
from edge.http.limits import HttpLimits
from edge.http.messages import Response
from edge.http.reasons import DropReason

__all__ = [
    "Refused",
    "ambiguous_length",
    "body_late",
    "body_too_large",
    "handler_late",
    "header_late",
    "header_too_large",
    "internal_error",
    "malformed",
    "stopping",
]

_RETRY_SOON = (("Retry-After", "1"),)


class Refused(Exception):  # noqa: N818 - not an error of ours
    """The request under way gets this response, and the connection ends.

    Args:
        reason: what is counted.
        response: what is sent.
    """

    def __init__(self, reason: DropReason, response: Response) -> None:
        super().__init__(reason)
        self.reason = reason
        self.response = response


def malformed(status: int, problem: str) -> Refused:
    """The bytes are not HTTP/1.1, or a part of it that we do not speak (501)."""
    response = error_response(status, "malformed_request", f"Not HTTP/1.1: {problem}.")
    return Refused(DropReason.MALFORMED, response)


def ambiguous_length() -> Refused:
    """Two readers of this connection might disagree on where the request ends."""
    message = "Send either Content-Length or Transfer-Encoding, and the latter only with HTTP/1.1."
    return Refused(DropReason.AMBIGUOUS_LENGTH, error_response(400, "ambiguous_length", message))


def header_too_large() -> Refused:
    """The headers have too many bytes or fields."""
    message = "The request's headers are too large."
    return Refused(DropReason.HEADER_TOO_LARGE, error_response(431, "header_too_large", message))


def body_too_large(limits: HttpLimits) -> Refused:
    """The content has, or will have, too many bytes."""
    message = f"The content may have at most {limits.body_bytes} bytes."
    return Refused(DropReason.BODY_TOO_LARGE, error_response(413, "content_too_large", message))


def header_late(limits: HttpLimits) -> Refused:
    """The headers took too long."""
    message = f"The headers were not complete within {limits.header_timeout:g} seconds."
    return Refused(DropReason.HEADER_TIMEOUT, error_response(408, "request_timeout", message))


def body_late(limits: HttpLimits) -> Refused:
    """The content took too long."""
    message = f"The content was not complete within {limits.body_timeout:g} seconds."
    return Refused(DropReason.BODY_TIMEOUT, error_response(408, "request_timeout", message))


def handler_late() -> Refused:
    """We took too long."""
    message = "The answer took too long. Try again."
    return Refused(DropReason.HANDLER_TIMEOUT, error_response(503, "handler_timeout", message, headers=_RETRY_SOON))


def internal_error(request_id: str) -> Response:
    """What went wrong is for our log; the client can name the request."""
    message = f"Something went wrong on our side. Please quote request {request_id}."
    return error_response(500, "internal_error", message)


def stopping() -> Refused:
    """A request came in the same moment in which its idle connection was told to stop."""
    message = "The server is stopping. Try again: another one, or its successor, will answer."
    return Refused(DropReason.STOPPING, error_response(503, "stopping", message, headers=_RETRY_SOON))
