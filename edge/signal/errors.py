"""How each refusal is worded: what is wrong, and what would be right."""

import math

from edge.http.errors import error_response
from edge.http.messages import Response

__all__ = [
    "RequestRefused",
    "call_id_not_found",
    "foreign_host",
    "foreign_origin",
    "invalid_api_key",
    "invalid_offer",
    "keyless_is_local",
    "not_owner",
    "try_later",
    "unsupported_content_type",
]


class RequestRefused(Exception):  # noqa: N818 - named for what happened to the request
    """The request ends here, with this response."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def invalid_offer(reason: str) -> RequestRefused:
    """The body is no offer that can be answered."""
    return RequestRefused(error_response(400, "invalid_offer", f"The offer cannot be answered: {reason}", param="sdp"))


def unsupported_content_type(media_type: str) -> RequestRefused:
    """The body is of a type that holds no offer."""
    message = f"Send the SDP offer as application/sdp, not as {media_type[:100] or 'a body without a Content-Type'}."
    headers = (("Accept-Post", "application/sdp"),)
    return RequestRefused(error_response(415, "unsupported_content_type", message, headers=headers))


def invalid_api_key() -> RequestRefused:
    """No key was shown, or none of ours."""
    message = "Show an API key of this server: Authorization: Bearer KEY."
    return RequestRefused(
        error_response(401, "invalid_api_key", message, headers=(("WWW-Authenticate", 'Bearer realm="trio-voice"'),))
    )


def keyless_is_local() -> RequestRefused:
    """A server without keys was asked from another machine."""
    message = "This server has no API keys and serves only its own machine, directly. Configure signal.api_keys."
    return RequestRefused(error_response(403, "keyless_serves_loopback_only", message))


def foreign_host(host: str) -> RequestRefused:
    """The Host header is not ours."""
    message = f"Host {host[:100]!r} is not a name of this server. Add it to signal.allowed_hosts if it should be."
    return RequestRefused(error_response(403, "host_not_allowed", message))


def foreign_origin(origin: str) -> RequestRefused:
    """A page of another origin asks."""
    message = f"Pages of {origin[:100]!r} may not call here. Add it to signal.allowed_origins if they should."
    return RequestRefused(error_response(403, "origin_not_allowed", message))


def call_id_not_found() -> RequestRefused:
    """There is no such call."""
    message = "No session found for the provided call_id."
    return RequestRefused(error_response(404, "call_id_not_found", message, param="call_id"))


def not_owner() -> RequestRefused:
    """Somebody else's call."""
    message = "The call was made with another API key."
    return RequestRefused(error_response(403, "not_owner", message, param="call_id"))


def try_later(code: str, message: str, retry_after: float) -> RequestRefused:
    """Nothing is wrong with the request, only with the moment.

    Args:
        code: what is missing at the moment.
        message: the same in words.
        retry_after: seconds after which a new try makes sense; clients of the OpenAI API wait that long by themselves.
    """
    headers = (
        ("Retry-After", str(math.ceil(retry_after))),
        ("Retry-After-Ms", str(math.ceil(retry_after * 1000))),
    )
    return RequestRefused(error_response(503, code, message, headers=headers))
